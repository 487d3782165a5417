//! Wire types that the two planes share.
//!
//! Only shapes live here: no client, no server, no cache, no decision. Unknown fields are ignored everywhere, so that a
//! newer peer can say more than an older one understands.

mod ask;

pub use ask::AskAnswer;
