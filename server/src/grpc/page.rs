//! Page tokens: where a list goes on, bound to the filters it was begun with.

use prost::Name;
use sha2::{Digest, Sha256};

/// Makes the token that goes on after `position` in the list that `request` began.
///
/// What may change from page to page, as the token itself, the caller has taken out of the request.
pub(crate) fn token(request: &impl Name, position: &str) -> String {
    format!(
        "{}.{}",
        hex::encode(position),
        hex::encode(&seal(request, position)[..8])
    )
}

/// The position in a token; none when it was altered or belongs to other filters.
pub(crate) fn position(request: &impl Name, token: &str) -> Option<String> {
    let (position, _) = token.split_once('.')?;
    let position = String::from_utf8(hex::decode(position).ok()?).ok()?;
    (self::token(request, &position) == token).then_some(position)
}

fn seal<M: Name>(request: &M, position: &str) -> [u8; 32] {
    Sha256::new()
        .chain_update(M::full_name())
        .chain_update([0])
        .chain_update(request.encode_to_vec())
        .chain_update([0])
        .chain_update(position)
        .finalize()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use order_archiver_api::v1::ListBatchesRequest;

    #[test]
    fn a_token_is_good_for_the_same_filters_only() {
        let request = ListBatchesRequest {
            page_size: 0,
            page_token: String::new(),
            states: vec![1],
        };
        let token = token(&request, "CMD-é");
        assert_eq!(position(&request, &token).as_deref(), Some("CMD-é"));
        assert_eq!(
            position(
                &ListBatchesRequest {
                    states: vec![2],
                    ..request.clone()
                },
                &token
            ),
            None
        );
        for bad in [
            "",
            ".",
            "zz.00",
            &token[1..],
            &format!("{token}0"),
            &token.replacen('4', "5", 1),
        ] {
            assert_eq!(position(&request, bad), None, "{bad}");
        }
    }
}
