//! What is remembered for a while: in memory on one node, in Redis on many.
//!
//! Start at [`RateLimiter`]. Redis is never the only copy of anything: when it is away, each node goes on by itself.

mod rate;
mod redis;
mod stream;

pub use rate::{Quota, RateLimiter, Verdict, seconds_up};
pub use redis::Redis;
pub use stream::{SharedStream, StreamConnection};
