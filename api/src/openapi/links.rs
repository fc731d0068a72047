//! Where an answer leads: which operations take what it says (`OpenAPI` links).

use utoipa::openapi::link::{Link, LinkBuilder};
use utoipa::openapi::path::Operation;
use utoipa::openapi::{Components, Ref, RefOr};

/// An answer, what it gives, and the operations that take it as their parameters.
struct Lead {
    /// The operation, and the status of its answer.
    from: (&'static str, &'static str),
    gives: &'static [(&'static str, &'static str)],
    to: &'static [&'static str],
}

const ID: &[(&str, &str)] = &[("id", "$response.body#/id")];

const LEADS: &[Lead] = &[
    Lead {
        from: ("create_job", "202"),
        gives: ID,
        to: &["get_job", "get_events", "get_diff", "cancel_job", "retry_job", "delete_job", "list_job_deliveries"],
    },
    Lead {
        from: ("get_job", "200"),
        gives: &[("id", "$response.body#/id"), ("name", "$response.body#/stages/0/name")],
        to: &["get_stage"],
    },
    Lead { from: ("list_jobs", "200"), gives: &[("cursor", "$response.body#/nextCursor")], to: &["list_jobs"] },
    Lead {
        from: ("create_webhook", "201"),
        gives: ID,
        to: &[
            "get_webhook",
            "change_webhook",
            "delete_webhook",
            "rotate_secret",
            "test_webhook",
            "replay",
            "list_webhook_deliveries",
        ],
    },
    Lead { from: ("test_webhook", "202"), gives: ID, to: &["get_delivery", "redeliver"] },
    Lead { from: ("create_key", "201"), gives: ID, to: &["revoke_key"] },
];

/// Adds to the answers of an operation where they lead.
pub(super) fn describe(operation: &mut Operation, components: &mut Components) {
    let id = operation.operation_id.clone().unwrap_or_default();
    for Lead { from, gives, to } in LEADS.iter().filter(|lead| lead.from.0 == id) {
        let response = operation.responses.responses.get_mut(from.1);
        let Some(RefOr::T(response)) = response else { panic!("{id} has no answer {}", from.1) };
        for target in *to {
            components.links.insert((*target).to_owned(), link(target, gives).into());
            let reference = Ref::new(format!("#/components/links/{target}"));
            response.links.insert((*target).to_owned(), RefOr::Ref(reference));
        }
    }
}

fn link(target: &str, gives: &[(&str, &str)]) -> Link {
    let link = LinkBuilder::new().operation_id(target);
    gives.iter().fold(link, |link, (parameter, expression)| link.parameter(*parameter, *expression)).build()
}
