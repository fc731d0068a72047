//! Tools, and the part of JSON Schema that strict tools and JSON outputs can use.

use std::collections::HashSet;

use serde_json::Value;

use super::super::view::items;
use super::Rejection;

const MAX_STRICT_TOOLS: usize = 20;
const MAX_OPTIONAL_PARAMETERS: usize = 24;
const MAX_UNION_PARAMETERS: usize = 16;
const UNSUPPORTED: [&str; 11] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
];

#[derive(Default)]
struct Counts {
    optional: usize,
    unions: usize,
}

/// Checks the tools, and the schema of the output if there is one.
pub(super) fn check_tools(body: &Value) -> Result<(), Rejection> {
    let mut names = HashSet::new();
    let mut counts = Counts::default();
    let mut strict_tools = 0;
    for (index, tool) in items(&body["tools"]).enumerate() {
        check_tool(index, tool)?;
        if !names.insert(&tool["name"]) {
            return Err(Rejection::invalid("tools: Tool names must be unique."));
        }
        if tool["strict"] == true {
            strict_tools += 1;
            check_schema(&format!("tools.{index}.custom.input_schema"), &tool["input_schema"], &mut counts)?;
        }
    }
    let format = &body["output_config"]["format"];
    if !format.is_null() {
        if format["type"] != "json_schema" {
            return Err(Rejection::invalid("output_config.format.type: Input should be 'json_schema'"));
        }
        check_schema("output_config.format.schema", &format["schema"], &mut counts)?;
    }
    if strict_tools > MAX_STRICT_TOOLS {
        let message = format!("tools: at most {MAX_STRICT_TOOLS} strict tools may be provided. Found {strict_tools}.");
        return Err(Rejection::invalid(message));
    }
    if counts.optional > MAX_OPTIONAL_PARAMETERS || counts.unions > MAX_UNION_PARAMETERS {
        return Err(Rejection::invalid("Schema is too complex for compilation"));
    }
    Ok(())
}

fn check_tool(index: usize, tool: &Value) -> Result<(), Rejection> {
    let known = [
        "name",
        "description",
        "input_schema",
        "strict",
        "cache_control",
        "input_examples",
        "type",
        "eager_input_streaming",
    ];
    let fields =
        tool.as_object().ok_or_else(|| Rejection::invalid(format!("tools.{index}: Input should be an object")))?;
    if let Some(name) = fields.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(Rejection::invalid(format!("tools.{index}.custom.{name}: Extra inputs are not permitted")));
    }
    let name = tool["name"].as_str().unwrap_or_default();
    let is_valid = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > 128 || !name.chars().all(is_valid) {
        return Err(Rejection::invalid(format!(
            "tools.{index}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
        )));
    }
    if tool["input_schema"]["type"] != "object" {
        return Err(Rejection::invalid(format!("tools.{index}.custom.input_schema.type: Input should be 'object'")));
    }
    Ok(())
}

fn check_schema(place: &str, schema: &Value, counts: &mut Counts) -> Result<(), Rejection> {
    let refuse = |message: String| Err(Rejection::invalid(format!("{place}: {message}")));
    if let Some(keyword) = UNSUPPORTED.iter().find(|keyword| schema.get(**keyword).is_some()) {
        let kind = schema["type"].as_str().unwrap_or("schema");
        return refuse(format!("For '{kind}' type, property '{keyword}' is not supported"));
    }
    if schema.get("minItems").is_some_and(|bound| *bound != 0 && *bound != 1) {
        return refuse("For 'array' type, 'minItems' values other than 0 or 1 are not supported".to_owned());
    }
    if schema["$ref"].as_str().is_some_and(|target| !target.starts_with("#/")) {
        return refuse("External schema references are not supported".to_owned());
    }
    counts.unions += usize::from(schema["anyOf"].is_array() || schema["type"].is_array());
    if let Some(properties) = schema["properties"].as_object() {
        let is_required = |name: &String| items(&schema["required"]).any(|required| required == name.as_str());
        counts.optional += properties.keys().filter(|name| !is_required(name)).count();
        for (name, property) in properties {
            check_schema(&format!("{place}.properties.{name}"), property, counts)?;
        }
    }
    if schema["type"] == "object" && schema["additionalProperties"] != false {
        return refuse("For 'object' type, 'additionalProperties' must be explicitly set to false".to_owned());
    }
    if schema["items"].is_object() {
        check_schema(&format!("{place}.items"), &schema["items"], counts)?;
    }
    for (index, choice) in items(&schema["anyOf"]).enumerate() {
        check_schema(&format!("{place}.anyOf.{index}"), choice, counts)?;
    }
    for (name, definition) in schema["$defs"].as_object().into_iter().flatten() {
        check_schema(&format!("{place}.$defs.{name}"), definition, counts)?;
    }
    Ok(())
}
