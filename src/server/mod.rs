//! The edge towards HTTP.
//!
//! Start at [`Listening::serve`]; `edge` is what one request passes from end to end: id, limits, answer, headers, one log line, one
//! figure. What is answered is the business of whoever implements [`Routes`]; no business rule lives here.

mod address;
mod body;
mod call;
mod compress;
mod cors;
mod edge;
mod gate;
mod listen;
mod multipart;
mod observe;
mod path;
mod respond;
mod socket;

#[cfg(test)]
mod tests;

pub use body::{JsonLimits, object, parse_json};
pub use call::{Call, Credentials, Inner};
pub use edge::Routes;
pub use gate::{Gate, RouteClass};
pub use listen::Listening;
pub use multipart::{Lent, Part, Parts};
pub use respond::{Answer, Attachment, Body, Content, entries, status};
pub use socket::{Meter, Socket};
