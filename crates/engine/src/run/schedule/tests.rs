use super::*;
use crate::failure::Class;
use crate::state::Role;

fn schedule(cap: usize, steps: &[(&str, &str, u64)], edges: &[(usize, usize, Need)]) -> (Schedule, Vec<StepId>) {
    let mut schedule = Schedule::new(cap);
    let ids: Vec<_> = steps
        .iter()
        .map(|(name, region, seconds)| {
            schedule.add(
                Address::new(Role::Primary, "t", name),
                StepKind::Apply,
                &Region::from(*region),
                Duration::from_secs(*seconds),
            )
        })
        .collect();
    for (dependency, dependent, need) in edges {
        schedule.add_dependency(ids[*dependent], ids[*dependency], *need);
    }
    schedule.begin().expect("no cycle");
    (schedule, ids)
}

fn refused() -> Failure {
    Failure::new(Class::Refused, "no")
}

#[test]
fn the_longest_remaining_path_starts_first_and_caps_are_per_region() {
    let (mut s, ids) = schedule(
        1,
        &[("short", "a", 5), ("head", "a", 1), ("tail", "a", 100), ("other", "b", 1)],
        &[(1, 2, Need::Ready)],
    );
    assert_eq!(s.next(), Some(ids[1]));
    assert_eq!(s.next(), Some(ids[3]), "the other Region has a cap of its own");
    assert_eq!(s.next(), None);
    s.release_slot(ids[1]);
    assert_eq!(s.next(), Some(ids[0]), "a step that waits holds no slot");
}

#[test]
fn existence_is_enough_where_it_was_asked_for_and_only_there() {
    let (mut s, ids) =
        schedule(9, &[("a", "r", 1), ("b", "r", 1), ("c", "r", 1)], &[(0, 1, Need::Exists), (0, 2, Need::Ready)]);
    assert_eq!(s.next(), Some(ids[0]));
    s.mark_reached(ids[0], Need::Exists);
    assert_eq!(s.next(), Some(ids[1]));
    assert_eq!(s.next(), None);
    s.mark_reached(ids[0], Need::Ready);
    assert_eq!(s.next(), Some(ids[2]));
}

#[test]
fn a_step_deferred_until_its_dependency_is_ready_starts_again_then() {
    let (mut s, ids) = schedule(9, &[("a", "r", 1), ("b", "r", 1)], &[(0, 1, Need::Exists)]);
    assert_eq!(s.next(), Some(ids[0]));
    s.mark_reached(ids[0], Need::Exists);
    assert_eq!(s.next(), Some(ids[1]));
    assert!(!s.step(ids[1]).was_put_back);
    assert_eq!(s.defer_until_ready(ids[1]), Deferral::Deferred);
    assert_eq!((s.next(), s.in_flight()), (None, 1));
    s.mark_reached(ids[0], Need::Ready);
    assert_eq!(s.next(), Some(ids[1]));
    assert!(s.step(ids[1]).was_put_back && s.dependencies_are_ready(ids[1]));
    assert_eq!(s.defer_until_ready(ids[1]), Deferral::NothingToWaitFor);
}

#[test]
fn a_step_whose_dependency_became_ready_during_the_refusal_is_tried_once_more() {
    let (mut s, ids) = schedule(9, &[("a", "r", 1), ("b", "r", 1)], &[(0, 1, Need::Exists)]);
    assert_eq!(s.next(), Some(ids[0]));
    s.mark_reached(ids[0], Need::Exists);
    assert_eq!(s.next(), Some(ids[1]));
    s.mark_reached(ids[0], Need::Ready);
    assert_eq!(s.defer_until_ready(ids[1]), Deferral::Requeued);
    assert_eq!(s.next(), Some(ids[1]));
    assert_eq!(s.defer_until_ready(ids[1]), Deferral::NothingToWaitFor, "this time it was ready from the start");
}

#[test]
fn a_step_deferred_until_an_output_starts_again_after_a_record_and_not_before() {
    let (mut s, ids) = schedule(9, &[("a", "r", 1), ("b", "r", 1)], &[(0, 1, Need::Exists)]);
    assert_eq!(s.next(), Some(ids[0]));
    s.mark_reached(ids[0], Need::Exists);
    assert_eq!(s.next(), Some(ids[1]));
    assert_eq!(s.defer_until_output(ids[1]), Deferral::Deferred);
    assert_eq!((s.next(), s.in_flight()), (None, 1));
    s.resume_dependents(ids[1]);
    assert_eq!(s.next(), None, "a record of its own brings it nothing");
    s.resume_dependents(ids[0]);
    assert_eq!(s.next(), Some(ids[1]));
    assert_eq!(s.defer_until_output(ids[1]), Deferral::Deferred);
    assert_eq!(s.fail(ids[0], refused()), vec![ids[1]], "it is skipped with what it waits for");
    s.resume_dependents(ids[0]);
    assert_eq!(s.next(), None);
}

#[test]
fn a_step_that_is_deferred_after_its_dependency_failed_gives_up() {
    let (mut s, ids) =
        schedule(9, &[("a", "r", 1), ("b", "r", 1), ("c", "r", 1)], &[(0, 1, Need::Exists), (1, 2, Need::Ready)]);
    assert_eq!(s.next(), Some(ids[0]));
    s.mark_reached(ids[0], Need::Exists);
    assert_eq!(s.next(), Some(ids[1]));
    assert_eq!(s.fail(ids[0], refused()), Vec::new(), "it is at work already");
    assert_eq!(s.defer_until_ready(ids[1]), Deferral::DependencyFailed(ids[0]));
    assert_eq!(s.defer_until_output(ids[1]), Deferral::DependencyFailed(ids[0]));
    let root = s.step(ids[0]).address.clone();
    assert_eq!(s.give_up(ids[1], ids[0]), (root.clone(), vec![ids[1], ids[2]]));
    assert_eq!(s.step(ids[0]).outcome, Some(Outcome::Failed(refused())));
    assert_eq!(s.step(ids[1]).outcome, Some(Outcome::Skipped(root.clone())));
    assert_eq!(s.step(ids[2]).outcome, Some(Outcome::Skipped(root)), "because of the failure, not of a skipped step");
}

#[test]
fn every_step_that_has_used_what_is_created_again_starts_again() {
    let edges = [(0, 1, Need::Exists), (0, 2, Need::Exists), (0, 3, Need::Exists), (1, 4, Need::Ready)];
    let steps = [("a", "r", 1), ("done", "r", 1), ("at-work", "r", 1), ("queued", "r", 1), ("after", "r", 1)];
    let (mut s, ids) = schedule(2, &steps, &edges);
    assert_eq!(s.next(), Some(ids[0]));
    s.release_slot(ids[0]);
    s.mark_reached(ids[0], Need::Exists);
    assert_eq!((s.next(), s.next()), (Some(ids[1]), Some(ids[2])));
    s.mark_reached(ids[1], Need::Ready);
    assert!(s.finish(ids[1], Duration::from_secs(2)), "it is news");
    s.invalidate(ids[0]);
    assert!(s.step(ids[2]).is_outdated, "it is at work with what no longer exists");
    assert_eq!(s.next(), Some(ids[4]), "a dependent of a finished step goes on; the queued step waits");
    s.finish(ids[4], Duration::ZERO);
    s.restart_once_restored(ids[2]);
    assert_eq!(s.next(), None);
    s.mark_reached(ids[0], Need::Exists);
    let mut again = [s.next(), s.next()];
    again.sort_unstable();
    assert_eq!(again, [Some(ids[1]), Some(ids[2])]);
    assert!(!s.step(ids[1]).is_outdated);
    assert!(!s.finish(ids[1], Duration::from_secs(3)), "it was done before");
    assert_eq!(s.step(ids[1]).took, Some(Duration::from_secs(5)));
    assert_eq!(s.next(), Some(ids[3]));
    s.invalidate(ids[0]);
    assert_eq!(s.fail(ids[0], refused()), Vec::new(), "neither finished steps nor those at work are skipped");
    assert_eq!(s.step(ids[1]).outcome, Some(Outcome::Done));
}

#[test]
fn a_failure_stops_its_dependents_and_nothing_else() {
    let (mut s, ids) = schedule(
        9,
        &[("a", "r", 1), ("b", "r", 1), ("c", "r", 1), ("d", "r", 1)],
        &[(0, 1, Need::Ready), (1, 2, Need::Ready)],
    );
    assert_eq!(s.next(), Some(ids[0]));
    assert_eq!(s.fail(ids[0], refused()), vec![ids[1], ids[2]]);
    assert_eq!(s.next(), Some(ids[3]));
    s.finish(ids[3], Duration::ZERO);
    assert_eq!((s.next(), s.in_flight()), (None, 0));
}
