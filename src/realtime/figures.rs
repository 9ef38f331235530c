//! What is counted and measured of sockets.

use std::time::Duration;

use metrics::{counter, gauge, histogram};

pub(super) fn opened(door: &'static str) {
    gauge!("tablature_sockets", "protocol" => door).increment(1.0);
    counter!("tablature_sockets_opened_total", "protocol" => door).increment(1);
}

pub(super) fn closed(door: &'static str) {
    gauge!("tablature_sockets", "protocol" => door).decrement(1.0);
}

/// Why a socket was closed.
pub(super) fn ended(reason: &'static str) {
    counter!("tablature_sockets_closed_total", "reason" => reason).increment(1);
}

pub(super) fn received() {
    counter!("tablature_socket_messages_total", "direction" => "in").increment(1);
}

pub(super) fn sent(frames: u64) {
    counter!("tablature_socket_messages_total", "direction" => "out").increment(frames);
}

pub(super) fn subscriptions(count: usize, groups: usize) {
    gauge!("tablature_socket_subscriptions").set(count as f64);
    gauge!("tablature_socket_subscription_groups").set(groups as f64);
}

/// Events that wait for the hub.
pub(super) fn waiting(count: usize) {
    gauge!("tablature_realtime_events_waiting").set(count as f64);
}

/// Events that were told, and how long it took from their arrival to the queues of the sockets.
pub(super) fn told(events: usize, lag: Duration) {
    counter!("tablature_realtime_events_total").increment(events as u64);
    histogram!("tablature_realtime_lag_seconds").record(lag.as_secs_f64());
}

/// Something was lost on the way, and whoever listens was told.
pub(super) fn missed() {
    counter!("tablature_realtime_missed_total").increment(1);
}
