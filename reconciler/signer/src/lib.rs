//! Signs and pushes Assignments; no other duty.
