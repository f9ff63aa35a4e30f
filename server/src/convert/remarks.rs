//! Lists that a message may have no room for as a whole.

/// The first of these remarks, as many as so many bytes hold, and how many more there are.
pub(crate) fn first<T>(
    mut remarks: Vec<T>,
    most: usize,
    bytes: impl Fn(&T) -> usize,
) -> (Vec<T>, usize) {
    let all = remarks.len();
    let mut left = most;
    let fits = |remark: &T| {
        // Each also has a tag and its length.
        let size = bytes(remark) + 8;
        let fits = size <= left;
        left = left.saturating_sub(size);
        fits
    };
    let fitting = remarks.iter().map(fits).take_while(|fits| *fits).count();
    remarks.truncate(fitting);
    (remarks, all - fitting)
}
