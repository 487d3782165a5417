//! Webhooks, from the change that they tell of to a real receiver: what is sent, in which order, and what follows from
//! the receiver's answer. Time is a clock's that the promise moves.

mod harness;
mod order;
mod receivers;
mod retries;
mod signatures;
mod targets;
