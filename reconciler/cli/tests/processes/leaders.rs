//! Two reconcilers, of which one leads.

use nix::sys::signal::Signal;

use super::lines::wait_for;
use super::running::signal;
use super::tenant::{Tenant, ask};

#[test]
fn the_other_reconciler_takes_over_when_the_leader_is_killed_and_when_it_is_told_to_end() {
    let tenant = Tenant::new();
    let first = tenant.declare("first", 20);
    let (mut a, a_health) = tenant.reconcile("a");
    wait_for("a applies the first revision", || tenant.applied(), |applied| applied.as_ref() == Some(&first));
    assert!(tenant.holder().0.unwrap().starts_with("a_"));
    assert_eq!(tenant.devices(), 20);

    let (b, b_health) = tenant.reconcile("b");
    let waits = wait_for("b is there", || ask(b_health, "/readyz"), Option::is_some).unwrap();
    assert_eq!(waits.0, 200, "one that waits is ready: {}", waits.1);
    assert!(waits.1.contains("[+] leader: another reconciler leads; this one waits"), "{}", waits.1);
    let leads =
        |health| ask(health, "/metrics").is_some_and(|(_, text)| text.contains("wasmbed_reconciler_leader 1\n"));
    assert!(leads(a_health) && !leads(b_health));

    // In the middle of applying it.
    let second = tenant.declare("second", 400);
    wait_for("a is at it", || tenant.devices(), |devices| *devices > 20);
    a.kill();
    let before = tenant.devices();
    wait_for("b goes on", || tenant.applied(), |applied| applied.as_ref() == Some(&second));
    assert_eq!(tenant.devices(), 420, "{before} of them were there when the leader was killed");
    let (holder, transitions) = tenant.holder();
    assert!(holder.unwrap().starts_with("b_"));
    assert_eq!(transitions, 1);
    assert!(leads(b_health));

    // Told to end, it gives the Lease back, and nobody waits for it to lapse.
    let (c, c_health) = tenant.reconcile("c");
    wait_for("c is there", || ask(c_health, "/readyz"), Option::is_some);
    signal(b.id(), Signal::SIGTERM);
    assert!(b.interrupt(), "it ends well");
    let (holder, _) = tenant.holder();
    assert!(holder.as_ref().is_none_or(|holder| holder.starts_with("c_")), "{holder:?}");
    let third = tenant.declare("third", 1);
    wait_for("c goes on", || tenant.applied(), |applied| applied.as_ref() == Some(&third));
    assert_eq!(tenant.devices(), 421);
    assert!(c.interrupt(), "it ends well");
    assert_eq!(tenant.holder().0, None, "released");
}
