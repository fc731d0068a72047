//! Jobs that are limited to some paths of a repository.

use domain::{FailureCode, JobSpec, PathPattern, RepoUrl};
use serde_json::{Value, json};
use standin::claude::{Reply, RequestView};
use standin::repo::RepoBuilder;

use crate::scene::{GOOD_LINES, Pass, Scene, approve, diligent, done, good_edit, pass_of, plan, plan_input, replace};

const SECRET_PLANS: &str = "SECRET PLANS";

fn patterns(texts: &[&str]) -> Vec<PathPattern> {
    texts.iter().map(|text| PathPattern::parse(text).expect("valid")).collect()
}

/// The scene's repository with more beside it, for a job that may see and change `paths` without `exclude_paths`.
async fn limited(
    paths: &[&str],
    exclude_paths: &[&str],
    script: impl Fn(&RequestView) -> Reply + Send + Sync + 'static,
) -> Scene {
    let mut scene = Scene::new(script).await;
    let files = RepoBuilder::new()
        .file("prices.py", crate::scene::PRICES)
        .file("main.py", crate::scene::MAIN)
        .file("docs/plans.md", format!("{SECRET_PLANS}\n"))
        .file("docs/guide.md", "# Guide\n")
        .commit("Add the prices");
    scene.git.add("more", &files).expect("a repository");
    let url = RepoUrl::parse(&scene.git.url("more")).expect("an address");
    let (paths, exclude_paths) = (patterns(paths), patterns(exclude_paths));
    scene.spec = JobSpec { repo_url: url, paths, exclude_paths, ..scene.spec };
    scene
}

fn everything_sent(scene: &Scene) -> String {
    scene.requests().iter().map(Value::to_string).collect()
}

#[tokio::test]
async fn what_is_outside_is_never_sent() {
    let scene = limited(&["*.py"], &["main.py"], |request| match pass_of(request) {
        Pass::Plan => Reply::tool("submit_plan", {
            let mut plan = plan_input();
            plan["context_files"] = json!(["docs/plans.md", "main.py"]);
            plan
        }),
        _ => diligent(request),
    })
    .await;
    let result = scene.run().await.expect("a result");
    assert!(GOOD_LINES.iter().all(|line| String::from_utf8_lossy(&result.diff).contains(line)));
    let sent = everything_sent(&scene);
    assert!(sent.contains("def cents") && sent.contains("3 more files exist outside"), "{sent}");
    for outside in [SECRET_PLANS, "guide.md", "from prices import"] {
        assert!(!sent.contains(outside), "{outside}");
    }
}

#[tokio::test]
async fn what_is_outside_cannot_be_changed() {
    let refused = [
        ("Edit", json!({"file_path": "docs/plans.md", "old_string": "SECRET", "new_string": "", "replace_all": false})),
        ("Edit", json!({"file_path": "plans.md", "old_string": "SECRET", "new_string": "", "replace_all": false})),
        ("Write", json!({"file_path": "docs/plans.md", "content": "x\n", "executable": false})),
        ("Write", json!({"file_path": "docs/new.md", "content": "x\n", "executable": false})),
        ("Write", json!({"file_path": "Docs/x.md", "content": "x\n", "executable": false})),
        ("Delete", json!({"file_path": "docs/plans.md"})),
        ("Move", json!({"from_path": "docs/plans.md", "to_path": "plans.py"})),
        ("Move", json!({"from_path": "main.py", "to_path": "docs/main.py"})),
    ];
    let count = refused.len();
    let scene = limited(&["/*.py"], &[], move |request| match pass_of(request) {
        Pass::Edit if request.turn() == 0 => Reply::tools(refused.clone()),
        Pass::Edit => Reply::tools([good_edit(), done()]),
        _ => diligent(request),
    })
    .await;
    let result = scene.run().await.expect("a result");
    assert_eq!(result.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["prices.py"]);
    let requests = scene.requests();
    let answers = requests.iter().map(|request| request["messages"].as_array().expect("messages"));
    let answers = answers.max_by_key(|messages| messages.len()).expect("a request").last().expect("a message");
    let texts: Vec<String> = answers["content"].as_array().expect("blocks").iter().map(Value::to_string).collect();
    let refusals = texts.iter().filter(|text| text.contains("was not applied")).count();
    assert_eq!(refusals, count, "{texts:#?}");
    assert!(!everything_sent(&scene).contains(SECRET_PLANS));
    // By its name alone nothing is found outside.
    assert!(texts.iter().filter(|text| text.contains("outside of those that the task is limited to")).count() >= 5);
}

#[tokio::test]
async fn a_plan_for_files_outside_is_sent_back() {
    let scene = limited(&[], &["docs/"], |request| match pass_of(request) {
        Pass::Plan if request.turn() == 0 => Reply::tool("submit_plan", {
            let mut plan = plan_input();
            plan["files"] = json!([
                {"path": "docs/plans.md", "action": "edit", "new_path": "", "why": "x"},
                {"path": "main.py", "action": "move", "new_path": "docs/main.py", "why": "x"},
            ]);
            plan
        }),
        Pass::Plan => {
            let told = request.messages().last().expect("a message").to_string();
            assert!(told.contains("docs/plans.md is outside") && told.contains("docs/main.py is outside"), "{told}");
            plan()
        }
        _ => diligent(request),
    })
    .await;
    scene.run().await.expect("a result");
}

/// A new file beside the others is fine when its path is.
#[tokio::test]
async fn new_files_inside_may_be_made() {
    let scene = limited(&["*.py", "docs/*.txt"], &[], |request| match pass_of(request) {
        Pass::Edit => Reply::tools([
            replace("    return int(float(text) * 100)", "    return round(float(text) * 100)"),
            ("Write", json!({"file_path": "docs/prices.txt", "content": "Prices are rounded.\n", "executable": false})),
            done(),
        ]),
        Pass::Review => approve(),
        _ => diligent(request),
    })
    .await;
    let result = scene.run().await.expect("a result");
    let paths: Vec<_> = result.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["docs/prices.txt", "prices.py"]);
}

#[tokio::test]
async fn patterns_that_match_nothing_fail_before_any_call() {
    let scene = limited(&["srcc/**"], &[], diligent).await;
    let failure = scene.run().await.expect_err("nothing to see").failure();
    assert_eq!(failure.code, FailureCode::NoMatchingPaths);
    assert!(failure.message.contains("none of the repository's 4 files"), "{}", failure.message);
    assert_eq!(scene.requests().len(), 0);
}
