//! The commands that go on from a run, as its reports say them.

use harness::event::{Event, Record, StepOutcome};
use harness::exit::Exit;
use harness::plan::{Phase, Plan, Target};
use harness::report::files::Beside;
use harness::report::{github, html, terminal};
use harness::role::Role;
use harness::scenario::{ImageSource, IstioNamespace, Moment, Scenario};
use rstest::rstest;
use serde_json::json;

use super::story::{Story, failed, passed, proved};

/// The commands on the page of a run, with what stands above each.
fn on_page(records: &[Record]) -> String {
    let page = html::render(records, &Beside { folder: ".".into(), diagnostics: true });
    let (_, rest) = page.split_once("Look closer, and do it again").expect("the section");
    let (commands, _) = rest.split_once("</section>").expect("its end");
    let (commands, _) = commands.split_once("<details>").unwrap_or((commands, ""));
    commands.replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")
}

/// The command that judges again what broke, as the page has it.
fn again(records: &[Record]) -> Option<String> {
    let page = on_page(records);
    let (_, rest) = page.split_once("<p>What broke, judged again:</p><pre>")?;
    Some(rest.split_once("</pre>").expect("its end").0.to_string())
}

/// The command that does all of it again, as the page has it.
fn all(records: &[Record]) -> Option<String> {
    let page = on_page(records);
    let (_, rest) = page.split_once("<p>All of it:</p><pre>")?;
    Some(rest.split_once("</pre>").expect("its end").0.to_string())
}

fn plan_of(story: &mut Story) -> &mut Plan {
    let Event::RunStarted { plan, .. } = &mut story.records[0].event else { panic!("a run begins with its plan") };
    plan
}

fn change(story: &mut Story, by: impl FnOnce(&mut Scenario)) {
    let Target::Lab { scenario, .. } = &mut plan_of(story).target else { panic!("a story is of a lab") };
    by(scenario);
}

/// How a run ends.
fn ends(story: &mut Story, exit: Exit, kept: bool) -> Vec<Record> {
    story.finish(exit);
    let Some(Record { event: Event::RunFinished { lab_kept, .. }, .. }) = story.records.last_mut() else {
        panic!("it ends")
    };
    *lab_kept = kept;
    story.records.clone()
}

fn on_a_lab(verb: &str) -> Story {
    let mut story = Story::of(verb, &[]);
    story.lab("cluster-primary", 15.0, None).ready();
    story
}

fn red() -> Story {
    let mut story = on_a_lab("run");
    story.step("primary-istiod", 1.0, proved()).case("D0", 1.0, passed()).case("D1", 1.0, failed());
    story
}

fn not_made() -> StepOutcome {
    StepOutcome::Failed { error: "it is not there".into() }
}

#[rstest]
#[case::a_second_remote(|it: &mut Scenario| {
    let third = it.clusters.remotes()[0].clone();
    it.clusters.remotes_mut().push(third);
})]
#[case::nodes(|it: &mut Scenario| it.clusters.values_mut().for_each(|wish| wish.nodes = 2))]
#[case::candidate_images(|it: &mut Scenario| it.candidate.hub = Some("registry.example.com/istio".into()))]
#[case::an_overlay(|it: &mut Scenario| it.clusters.remotes_mut()[0].overlay = Some(json!({"hub": "a"})))]
#[case::another_namespace(|it: &mut Scenario| it.istio_namespace = IstioNamespace::named("mesh").expect("a namespace"))]
#[case::another_envoy(|it: &mut Scenario| it.envoy = Some("1.40.0".into()))]
#[case::what_is_expected(|it: &mut Scenario| {
    let expected = serde_json::from_value(json!("inconclusive")).expect("a verdict");
    it.expect.insert("D0".into(), expected);
})]
fn a_mesh_that_is_not_the_guides_own_is_judged_again_from_its_scenario(#[case] by: fn(&mut Scenario)) {
    let mut story = Story::run();
    change(&mut story, by);
    story.case("D0", 1.0, failed());
    let records = ends(&mut story, Exit::Red, false);
    let command = "meshproof run --scenario scenario.yaml --only D0 --keep always";
    assert_eq!(again(&records), Some(format!("{command}   # the scenario below, in a file")));
    let elsewhere = format!("{command}   # the scenario in report.html, in a file");
    assert!(github::markdown(&records).contains(&elsewhere), "{}", github::markdown(&records));
    assert!(terminal::render(&records).contains(&elsewhere), "{}", terminal::render(&records));
}

#[test]
fn the_guides_own_mesh_takes_no_file_whatever_its_lab_and_its_images() {
    let mut story = red();
    change(&mut story, |it| (it.lab, it.images) = ("mine".into(), ImageSource::Official));
    let command = "meshproof run --lab mine --istio 1.31.1 --kubernetes v1.36.3 --only D1 --keep always";
    assert_eq!(again(&ends(&mut story, Exit::Red, false)).as_deref(), Some(command));
}

#[test]
fn flags_that_are_known_are_typed_again_without_a_remark() {
    let mut story = red();
    change(&mut story, |it| it.clusters.values_mut().for_each(|wish| wish.nodes = 2));
    let records = ends(&mut story, Exit::Red, false);
    let rerun = harness::report::Rerun::of(&harness::report::Summary::of(&records), Some("--nodes 2"));
    let command = rerun.again.expect("it can be judged again").with_scenario("nowhere");
    assert_eq!(command, "meshproof run --nodes 2 --only D1 --keep always");
}

/// A run that was killed while it installed.
fn killed() -> Vec<Record> {
    let mut story = on_a_lab("run");
    story.add(Event::StepStarted { id: "primary-istiod".into() }).records.clone()
}

/// A run whose lab stays with a moment of its timeline failed.
fn kept_in_the_timeline() -> Vec<Record> {
    let mut story = on_a_lab("run");
    plan_of(&mut story).steps[1].phase = Phase::Timeline;
    story.step("eastwest-gateway", 1.0, not_made());
    ends(&mut story, Exit::NoVerdict, true)
}

/// A run whose lab stays with a round of its timeline red.
fn kept_in_a_round() -> Vec<Record> {
    let mut story = on_a_lab("run");
    let plan = plan_of(&mut story);
    plan.cases[1].id = "late/D1".into();
    let round = serde_json::from_value(json!({"name": "late"})).expect("a round");
    change(&mut story, |it| it.timeline = vec![Moment::Judge(round)]);
    story.case("late/D1", 1.0, failed());
    ends(&mut story, Exit::Red, true)
}

/// A run that was interrupted twice: it did not wait for the removal.
fn interrupted_twice() -> Vec<Record> {
    let mut story = red();
    story.add(Event::Interrupted { by: "SIGINT".into() }).add(Event::Interrupted { by: "SIGINT".into() });
    ends(&mut story, Exit::Interrupted, false)
}

/// A run whose lab stays with a part of it failed.
fn kept_without_a_part() -> Vec<Record> {
    let mut story = Story::run();
    story.lab("routes", 1.0, Some("no route"));
    ends(&mut story, Exit::NoVerdict, true)
}

/// A red run that could not remove its lab.
fn red_and_left_over() -> Vec<Record> {
    let mut story = red();
    story.lab("remove-meshproof", 1.0, Some("device busy"));
    ends(&mut story, Exit::Red, false)
}

#[rstest]
#[case::killed(killed())]
#[case::kept_in_the_timeline(kept_in_the_timeline())]
#[case::kept_in_a_round(kept_in_a_round())]
#[case::kept_without_a_part(kept_without_a_part())]
#[case::interrupted_twice(interrupted_twice())]
#[case::red_and_left_over(red_and_left_over())]
fn where_something_of_the_lab_may_be_left_it_is_removed_before_it_is_made_again(#[case] records: Vec<Record>) {
    for command in [again(&records), all(&records)] {
        let command = command.expect("a command");
        assert!(command.starts_with("meshproof down && meshproof run "), "{command}");
    }
}

#[rstest]
#[case::a_check("check", Exit::Red, "D1", Some("meshproof check --only D1"))]
#[case::green("check", Exit::Green, "", None)]
fn a_verb_on_a_lab_that_is_there_does_not_take_it_away(
    #[case] verb: &str,
    #[case] exit: Exit,
    #[case] broken: &str,
    #[case] command: Option<&str>,
) {
    let mut story = on_a_lab(verb);
    if !broken.is_empty() {
        story.case(broken, 1.0, failed());
    }
    story.others_pass(&[broken]);
    let killed = story.records.clone();
    for records in [killed, ends(&mut story, exit, true)] {
        assert_eq!(again(&records).as_deref(), command);
        let all = all(&records).expect("a command");
        assert_eq!(all, "meshproof check --scenario scenario.yaml   # the scenario below, in a file");
    }
}

#[test]
fn a_check_that_was_ended_while_it_opened_its_lab_is_called_again() {
    let mut story = Story::of("check", &[]);
    story.add(Event::LabStarted { id: "open".into(), title: "The lab is opened".into() });
    assert_eq!(again(&story.records).as_deref(), Some("meshproof check"));
}

#[test]
fn a_lab_that_could_not_be_made_is_made_again_by_the_same_verb() {
    let mut story = Story::of("up", &[]);
    story.lab("routes", 1.0, Some("no route"));
    let records = ends(&mut story, Exit::NoVerdict, false);
    assert_eq!(again(&records).as_deref(), Some("meshproof up --istio 1.31.1 --kubernetes v1.36.3"));
}

#[test]
fn what_could_not_be_removed_is_removed_again() {
    let mut story = on_a_lab("run");
    change(&mut story, |it| it.lab = "mine".into());
    story.others_pass(&[]).lab("remove-mine", 1.0, Some("device busy"));
    let records = ends(&mut story, Exit::LeftOver, false);
    assert_eq!(again(&records).as_deref(), Some("meshproof down --lab mine"));
    assert!(on_page(&records).contains("could not be removed"), "{}", on_page(&records));
}

#[test]
fn a_step_of_the_clean_up_is_carried_out_again_so_the_lab_is_not_kept() {
    let mut story = on_a_lab("run");
    story.case("D0", 1.0, passed()).case("D1", 1.0, passed()).step("uninstall", 1.0, not_made());
    let records = ends(&mut story, Exit::NoVerdict, false);
    assert_eq!(again(&records).as_deref(), Some("meshproof run --istio 1.31.1 --kubernetes v1.36.3"));
}

#[rstest]
#[case::kept(ends(&mut red(), Exit::Red, true), "The lab was kept")]
#[case::killed(killed(), "it may still be there")]
fn a_lab_that_is_left_is_said_with_what_can_be_done_with_it(#[case] mut records: Vec<Record>, #[case] said: &str) {
    let Event::RunStarted { plan, .. } = &mut records[0].event else { panic!("a run begins with its plan") };
    let Target::Lab { scenario, .. } = &mut plan.target else { panic!("a story is of a lab") };
    scenario.lab = "mine".into();
    let page = on_page(&records);
    for said in [said, "meshproof status ", "meshproof down --lab mine</pre>"] {
        assert!(page.contains(said), "{said} in {page}");
    }
}

#[rstest]
#[case::gone(ends(&mut red(), Exit::Red, false))]
#[case::killed_after_it_was_removed({
    let mut story = red();
    story.lab("remove-meshproof", 1.0, None);
    story.records.clone()
})]
#[case::killed_before_there_was_one(Story::run().records.clone())]
fn of_a_lab_that_is_gone_no_page_speaks(#[case] records: Vec<Record>) {
    let page = on_page(&records);
    assert!(!page.contains("meshproof down") && !page.contains("meshproof status"), "{page}");
}

/// Clusters that are only read, up to this part.
fn reading(part: &str, error: Option<&str>) -> Vec<Record> {
    let mut story = Story::of("check", &[]);
    let contexts = Role::ALL.into_iter().zip(["prod a".to_string(), "prod-b".to_string()]).collect();
    let istio_namespace = IstioNamespace::named("mesh").expect("a namespace");
    plan_of(&mut story).target = Target::Contexts { contexts, istio_namespace };
    story.lab(part, 1.0, error);
    if error.is_none() {
        story.case("D0", 1.0, failed());
    }
    ends(&mut story, Exit::NoVerdict, false)
}

#[test]
fn clusters_are_read_again_by_all_flags_that_are_known() {
    let records = reading("find-mesh", None);
    let command = "meshproof check --contexts 'prod a,prod-b' --read-only --istio-namespace mesh";
    assert_eq!(again(&records), Some(format!("{command} --only D0")));
    assert_eq!(all(&records).as_deref(), Some(command));
    let unreachable = reading("find-primary", Some("it says nothing"));
    assert_eq!(again(&unreachable).as_deref(), Some(command), "it may answer the next time");
}

#[test]
fn clusters_that_are_swapped_are_not_read_again_in_the_same_order() {
    let records = reading("find-mesh", Some("the clusters are swapped"));
    assert_eq!((again(&records), all(&records)), (None, None));
}

#[test]
fn what_was_kept_in_clusters_of_the_users_goes_by_its_record() {
    let mut story = red();
    let Target::Lab { scenario, .. } = plan_of(&mut story).target.clone() else { panic!("a story is of a lab") };
    let contexts = Role::ALL.into_iter().zip(["prod a".to_string(), "prod-b".to_string()]).collect();
    plan_of(&mut story).target = Target::Brought { scenario, contexts, creates: Default::default() };
    let page = on_page(&ends(&mut story, Exit::Red, true));
    assert!(page.contains("meshproof uninstall --record created.json"), "{page}");
    assert!(
        page.contains("meshproof run --contexts 'prod a,prod-b' --allow-install --istio 1.31.1 --workload-image"),
        "{page}"
    );
    assert!(!page.contains("meshproof down"), "{page}");
}
