//! `ListDifferences`: what a verification found, in the order of the classes.

use std::mem::take;

use order_archiver_api::v1 as pb;
use prost::Message;
use tonic::Status;

use super::VerificationService;
use crate::{
    convert::{self, MOST_JSON},
    domain::verify::class::Class,
    grpc::{
        page::{self, page_size},
        status::{self, Violations},
    },
};

const DEFAULT_PAGE: i32 = 100;
const LARGEST_PAGE: i32 = 1_000;

impl VerificationService {
    /// A page of the differences of the verification with this whole id.
    pub(super) async fn differences_of(
        &self,
        verification: &str,
        mut request: pb::ListDifferencesRequest,
    ) -> Result<pb::ListDifferencesResponse, Status> {
        let (token, size) = (take(&mut request.page_token), take(&mut request.page_size));
        // However it was shortened.
        verification.clone_into(&mut request.verification_id);
        let classes: Option<Vec<Class>> = request
            .classes
            .iter()
            .map(|class| {
                let class = pb::DifferenceClass::try_from(*class).ok();
                class.and_then(convert::class_of_difference)
            })
            .collect();
        let behind = (!token.is_empty()).then(|| place(&request, &token));
        let mut violations = Violations::default();
        violations
            .check(size >= 0, "page_size", "must not be negative; 0 means 100")
            .check(
                classes.is_some(),
                "classes",
                "holds a value that is no DifferenceClass",
            )
            .check_page_token(behind != Some(None));
        violations.into_result()?;
        let limit = page_size(size, DEFAULT_PAGE, LARGEST_PAGE);
        let behind = behind.flatten();
        let behind = behind.as_ref().map(|(class, id)| (*class, id.as_str()));
        let stored = self.store.differences_of(verification);
        let found = stored
            .page(&classes.unwrap_or_default(), behind, limit + 1)
            .await
            .map_err(|error| status::of_error(&error))?;
        let all = found.len();
        let mut page = pb::ListDifferencesResponse::default();
        let (mut bytes, mut last) = (0, String::new());
        for difference in found.into_iter().take(limit) {
            let position = format!("{} {}", difference.finding.class.name(), difference.id);
            let difference = convert::difference(difference);
            bytes += difference.encoded_len();
            if bytes > MOST_JSON && !page.differences.is_empty() {
                break;
            }
            page.differences.push(difference);
            last = position;
        }
        if page.differences.len() < all {
            page.next_page_token = page::token(&request, &last);
        }
        Ok(page)
    }
}

/// Behind which difference a page begins; none where the token was altered or belongs to other
/// filters.
fn place(request: &pb::ListDifferencesRequest, token: &str) -> Option<(Class, String)> {
    let position = page::position(request, token)?;
    let (class, id) = position.split_once(' ')?;
    Some((Class::of_name(class)?, id.to_owned()))
}
