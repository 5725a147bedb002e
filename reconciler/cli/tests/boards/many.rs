//! More applications than a board has memory for.

use serde_json::Value;

use super::firmware::images;
use super::fleet::{Fleet, application, application_in, device, says, says_now, ticker};
use super::lines::wait_for;

const BOARD: &str = "board";
const APPLICATIONS: usize = 16;
/// All are built from one folder; a Release is an application's own all the same.
const FOLDER: &str = "app-00";

/// How many of them run, once each says that it runs or why not; those that do are the first by name.
fn running(status: &Value, names: &[String]) -> Option<usize> {
    let phase = |name: &String| application_in(status, name)["phase"].as_str().map(str::to_owned);
    let phases: Vec<_> = names.iter().map(phase).collect::<Option<_>>()?;
    let running = phases.iter().take_while(|phase| *phase == "Running").count();
    phases[running..].iter().all(|phase| phase == "Failed").then_some(running)
}

/// As much configuration as a Release carries, in small pieces, which take the most memory of a device.
fn much_configuration() -> String {
    let entries = (0..64).map(|number| format!("k{number:02}: \"{number:0>28}\""));
    format!("  config: {{envVars: {{{}}}}}\n", entries.collect::<Vec<_>>().join(", "))
}

#[test]
fn six_applications_with_much_configuration_do_not_keep_a_board_from_its_gateway() {
    let Some(images) = images("applications with much configuration") else { return };
    let names: Vec<String> = (0..6).map(|number| format!("app-{number:02}")).collect();
    let more = much_configuration();
    let applications: Vec<_> = names
        .iter()
        .map(|name| {
            let declaration = application(name, &[BOARD], &more);
            let shared = declaration.replace(&format!("apps/{name}"), &format!("apps/{FOLDER}"));
            (name.as_str(), shared, ticker("one"))
        })
        .collect();
    let fleet = Fleet::start(images, &[device(BOARD, "Mps2An386", "qemu")], &applications);
    let mut log = fleet.up.logs(BOARD);
    says(&mut log, "one");
    let settled = |what: &str| {
        let status = wait_for(what, || fleet.status(BOARD), |status| running(status, &names).is_some_and(|n| n > 0));
        (running(&status, &names).unwrap(), status)
    };
    let (most, status) = settled("every application runs or says why not");
    for name in &names[most..] {
        let error = application_in(&status, name)["error"].as_str().unwrap_or_default().to_owned();
        assert!(error.contains("less configuration"), "{error}");
    }
    // The old ones and the new ones are there at once.
    fleet.say(FOLDER, "two");
    says_now(&mut log, "two");
    assert_eq!(settled("every application runs again or says why not").0, most);
    // And all of it is there when it connects anew.
    fleet.stop_gateway();
    fleet.wait_device(BOARD, "Disconnected");
    fleet.start_gateway();
    fleet.wait_device(BOARD, "Connected");
    says_now(&mut log, "two");
    let printed = std::fs::read_to_string(fleet.folder().join("s/logs/device-board.log")).unwrap();
    assert_eq!(printed.matches("started: Mps2An386").count(), 1, "the board was reset:\n{printed}");
    drop(log);
    fleet.end();
}

#[test]
fn a_board_runs_as_many_applications_as_it_has_memory_for_and_says_which_not() {
    let Some(images) = images("sixteen applications") else { return };
    let names: Vec<String> = (0..APPLICATIONS).map(|number| format!("app-{number:02}")).collect();
    let applications: Vec<_> = names
        .iter()
        .map(|name| {
            let declaration = application(name, &[BOARD], "");
            let shared = declaration.replace(&format!("apps/{name}"), &format!("apps/{FOLDER}"));
            (name.as_str(), shared, ticker("one"))
        })
        .collect();
    let fleet = Fleet::start(images, &[device(BOARD, "Mps2An386", "qemu")], &applications);
    let mut log = fleet.up.logs(BOARD);
    says(&mut log, "one");
    let settled = |what: &str| {
        let status = wait_for(what, || fleet.status(BOARD), |status| running(status, &names).is_some_and(|n| n > 0));
        (running(&status, &names).unwrap(), status)
    };
    let (most, status) = settled("every application runs or says why not");
    assert!((4..APPLICATIONS).contains(&most), "{most} run");
    for name in &names[most..] {
        let said = application_in(&status, name);
        let error = said["error"].as_str().unwrap_or_else(|| panic!("{said}"));
        assert!(
            error.contains("16 applications are assigned") && error.contains(&format!("memory for {most}")),
            "{error}"
        );
    }

    // All of them change at once: the board has the old ones and the new ones on its heap, and stays in its session.
    let session = status["session"].clone();
    fleet.say(FOLDER, "two");
    says_now(&mut log, "two");
    let (again, status) = settled("every application runs again or says why not");
    assert_eq!((again, &status["session"]), (most, &session), "{status}");
    assert_eq!(status["phase"], "Connected");

    // With one fewer the next by name takes its place.
    std::fs::remove_file(fleet.repository.copy.join(format!("{}.yaml", names[1]))).unwrap();
    fleet.repository.push("One fewer");
    let next = &names[most];
    fleet.wait_application(BOARD, next, |app| app["phase"] == "Running");
    // A new session is how it gets what it had no memory for; a reset would be no way.
    let printed = std::fs::read_to_string(fleet.folder().join("s/logs/device-board.log")).unwrap();
    assert_eq!(printed.matches("started: Mps2An386").count(), 1, "the board was reset:\n{printed}");
    drop(log);
    fleet.end();
}
