//! The list of tests of other people that may fail: its form. `tests/compat/run` holds the list to
//! the truth, which takes a network and half an hour; here only what needs neither is looked at.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::served::is_here;

const SKIPS: &str = include_str!("compat/skips.txt");

/// The lines that name a test, each as suite, unit and test, with the reason of its group.
fn skips() -> Vec<(&'static str, [&'static str; 3])> {
    let mut reason = "";
    let mut found = Vec::new();
    for line in SKIPS.lines() {
        if let Some(heading) = line.strip_prefix("# ") {
            reason = heading;
        } else if !line.is_empty() && !line.starts_with("##") {
            let fields: Vec<_> = line.splitn(3, " | ").collect();
            let fields = fields.try_into();
            let fields = fields.unwrap_or_else(|_| panic!("not `suite | unit | test`: {line}"));
            found.push((reason, fields));
        }
    }
    found
}

#[test]
fn every_skip_has_a_reason_and_stands_once() {
    let mut seen = BTreeSet::new();
    for (reason, [suite, unit, name]) in skips() {
        let name = name.strip_prefix('!').unwrap_or(name);
        assert!(reason.len() > 10, "{name}: a group begins with `# ` and says why");
        assert!(!name.trim().is_empty(), "{suite} {unit}: a test has a name");
        assert!(seen.insert([suite, unit, name]), "{unit}: {name} stands twice");
    }
}

#[test]
fn every_group_of_skips_has_its_own_reason_and_is_not_empty() {
    let reasons: Vec<_> = SKIPS.lines().filter_map(|line| line.strip_prefix("# ")).collect();
    let distinct: BTreeSet<_> = reasons.iter().collect();
    assert_eq!(distinct.len(), reasons.len(), "one group for each reason");
    let used: BTreeSet<_> = skips().iter().map(|(reason, _)| *reason).collect();
    for reason in reasons {
        assert!(used.contains(reason), "nothing is skipped any more for: {reason}");
    }
}

#[test]
fn every_skip_is_of_a_unit_that_is_run() {
    if !is_here("python3") {
        return;
    }
    let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compat/run");
    let listed = Command::new("python3").arg(run).arg("--list").output().expect("it starts");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8_lossy(&listed.stdout);
    let units: BTreeSet<_> =
        listed.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>()).collect();
    assert!(units.len() > 40, "the units are found: {listed}");
    for (_, [suite, unit, name]) in skips() {
        assert!(units.contains(&vec![suite, unit]), "{suite} has no unit {unit} ({name})");
    }
}
