//! What is exchanged with AWS's clients: calls, answers, and the formats that they are written in.

pub(super) mod answer;
pub(super) mod call;
pub(super) mod form;
pub(super) mod recorded;
mod rest;
pub(super) mod xml;
