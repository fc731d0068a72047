//! `docker-compose.yml`, `Dockerfile` and `.dockerignore`, field by field: what they promise is held where no container
//! engine is at hand. Each rule is proved by a file that breaks it.

mod image;
mod program;
mod topology;
mod variables;

use std::path::Path;

use serde_json::{Map, Value};
use yaml_rust2::{Yaml, YamlLoader};

/// The roles of our own program; the other services are what it stands on.
const ROLES: [&str; 3] = ["api", "migrate", "worker"];

/// A file at the root of the repository.
fn text(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect("readable")
}

/// The compose file with its merge keys resolved, as `docker compose` resolves them.
fn read(compose: &str) -> Value {
    let documents = YamlLoader::load_from_str(compose).expect("YAML");
    assert_eq!(documents.len(), 1);
    resolve(&documents[0])
}

fn resolve(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::Hash(pairs) => {
            let mut map = Map::new();
            for (key, value) in pairs {
                let key = key.as_str().expect("keys are strings");
                if key != "<<" {
                    map.insert(key.to_owned(), resolve(value));
                }
            }
            let merged = pairs.get(&Yaml::String("<<".to_owned())).map(resolve);
            let sources = match merged {
                Some(Value::Array(sources)) => sources,
                Some(source) => vec![source],
                None => Vec::new(),
            };
            for source in sources {
                for (key, value) in source.as_object().expect("only maps are merged") {
                    map.entry(key).or_insert_with(|| value.clone());
                }
            }
            Value::Object(map)
        }
        Yaml::Array(items) => items.iter().map(resolve).collect(),
        Yaml::String(text) => text.as_str().into(),
        Yaml::Integer(number) => (*number).into(),
        Yaml::Boolean(flag) => (*flag).into(),
        Yaml::Null => Value::Null,
        other => panic!("{other:?} has no place in a compose file"),
    }
}

/// What a rule found wrong, each with the place.
type Wrongs = Vec<String>;

/// Names of a map, in order.
fn names(map: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = map.as_object().into_iter().flat_map(Map::keys).map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// The strings of a list.
fn strings(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Bytes of a size such as `64m`.
fn bytes(size: &str) -> Option<u64> {
    let digits = size.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &size[digits.len()..] {
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok().map(|number| number * unit)
}

/// The file passes, and each spoiled copy is found out by the words given for it.
fn assert_rule(file: &str, rule: impl Fn(&str) -> Wrongs, spoiled: &[(&str, &str, &str)]) {
    let good = text(file);
    assert_eq!(rule(&good), [] as [String; 0], "{file}");
    for (old, new, found) in spoiled {
        assert!(good.contains(old), "{file} has no `{old}` to spoil");
        // The last place, so that a service is spoiled and not the text that all share, where both have it.
        let at = good.rfind(old).expect("just seen");
        let bad = format!("{}{new}{}", &good[..at], &good[at + old.len()..]);
        let wrongs = rule(&bad);
        assert!(wrongs.iter().any(|wrong| wrong.contains(found)), "`{old}` → `{new}` gives {wrongs:?}, not `{found}`");
    }
}
