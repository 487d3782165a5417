//! What every operation answers when it goes wrong, in the OpenAPI document.

use utoipa::openapi::{Content, OpenApi, PathItem, Ref, RefOr, Response, ResponseBuilder, path::Operation};

/// RFC 9457.
pub(crate) const PROBLEM_TYPE: &str = "application/problem+json";

/// Says of each error that it is a problem document, and that each operation may find the database away.
pub(crate) fn describe(document: &mut OpenApi) {
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        for (status, response) in &mut operation.responses.responses {
            if let RefOr::T(response) = response
                && status.starts_with('4')
            {
                describe_one(response);
            }
        }
        let away = ResponseBuilder::new()
            .description("The database does not answer; `Retry-After` says when to come again")
            .content(PROBLEM_TYPE, Content::new(Some(Ref::from_schema_name("Problem"))));
        operation.responses.responses.insert("503".to_owned(), RefOr::T(away.build()));
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten()
}

fn describe_one(response: &mut Response) {
    if let Some(content) = response.content.shift_remove("application/json") {
        response.content.insert(PROBLEM_TYPE.to_owned(), content);
    }
    if response.description.is_empty() {
        "What is wrong with the request: `error.code` for programs, `detail` for people"
            .clone_into(&mut response.description);
    }
}
