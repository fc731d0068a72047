//! What several operations describe alike is described once, in `components`, and referred to.

use std::collections::BTreeMap;

use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::schema::ArrayItems;
use utoipa::openapi::{Components, Header, OpenApi, Ref, RefOr, Schema};

use super::{for_each_operation, responses};

/// Moves headers and parameters that are there more than once into `components`. Of two that differ and would have the same
/// name, the second one stays where it is.
pub(super) fn share(openapi: &mut OpenApi) {
    let (mut headers, mut parameters) = (Vec::new(), Vec::new());
    for_each_operation(&mut openapi.paths, |_, _, operation| {
        headers.extend(headers_of(operation).filter_map(|(_, header)| described(header).cloned()));
        parameters.extend(parameters_of(operation).filter_map(|parameter| described(parameter).cloned()));
    });
    let components = openapi.components.get_or_insert_default();
    for_each_operation(&mut openapi.paths, |path, _, operation| {
        for (name, header) in headers_of(operation) {
            move_repeated(header, &headers, "headers", name, &mut components.headers);
        }
        for parameter in parameters_of(operation) {
            let Some(name) = described(parameter).map(|parameter| name_of(path, parameter)) else { continue };
            move_repeated(parameter, &parameters, "parameters", &name, &mut components.parameters);
        }
    });
}

/// Refers to the things in a list, which the derive writes out for a type that has a parameter.
pub(super) fn refer_to_items(components: &mut Components) {
    let known = components.schemas.clone();
    for schema in components.schemas.values_mut() {
        let RefOr::T(Schema::Object(list)) = schema else { continue };
        let Some(RefOr::T(Schema::Array(data))) = list.properties.get_mut("data") else { continue };
        let ArrayItems::RefOrSchema(item) = &mut data.items else { continue };
        if let Some((name, _)) = known.iter().find(|(_, schema)| *schema == &**item) {
            **item = RefOr::Ref(Ref::from_schema_name(name));
        }
    }
}

fn move_repeated<T: Clone + PartialEq>(
    place: &mut RefOr<T>,
    all: &[T],
    kind: &str,
    name: &str,
    components: &mut BTreeMap<String, RefOr<T>>,
) {
    let Some(thing) = described(place) else { return };
    let is_repeated = all.iter().filter(|other| *other == thing).count() > 1;
    let is_there = components.get(name).is_some_and(|component| component == place);
    if is_there || (is_repeated && !components.contains_key(name)) {
        let reference = RefOr::Ref(Ref::new(format!("#/components/{kind}/{name}")));
        components.insert(name.to_owned(), std::mem::replace(place, reference));
    }
}

/// `Prefer` for a header; `jobs.id` and `deliveries.limit` for what has its meaning from the path.
fn name_of(path: &str, parameter: &Parameter) -> String {
    if parameter.parameter_in == ParameterIn::Header {
        return parameter.name.clone();
    }
    let before = path.split(&format!("/{{{}}}", parameter.name)).next().unwrap_or_default();
    let of = before.rsplit('/').find(|part| !part.is_empty() && !part.starts_with('{')).unwrap_or_default();
    format!("{of}.{}", parameter.name)
}

fn described<T>(place: &RefOr<T>) -> Option<&T> {
    match place {
        RefOr::T(thing) => Some(thing),
        RefOr::Ref(_) => None,
    }
}

fn headers_of(operation: &mut Operation) -> impl Iterator<Item = (&str, &mut RefOr<Header>)> {
    responses(operation).flat_map(|response| response.headers.iter_mut().map(|(name, header)| (name.as_str(), header)))
}

fn parameters_of(operation: &mut Operation) -> impl Iterator<Item = &mut RefOr<Parameter>> {
    operation.parameters.iter_mut().flatten()
}
