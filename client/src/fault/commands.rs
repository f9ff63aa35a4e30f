//! The commands behind the RPCs: an error of the server names the one, and people here type the
//! other.

/// Each RPC of the contract and what to type for it.
const COMMANDS: &[(&str, &str)] = &[
    ("ArchiveOrder", "archctl archive"),
    ("ArchiveOrders", "archctl archive -"),
    ("GetArchivedOrder", "archctl orders show"),
    ("ListArchivedOrders", "archctl orders list"),
    ("StartBatch", "archctl batch start"),
    ("GetBatch", "archctl batch show"),
    ("ListBatches", "archctl batch list"),
    ("CancelBatch", "archctl batch cancel"),
    ("TuneBatch", "archctl batch tune"),
    ("WatchBatch", "archctl batch watch"),
    ("TailEvents", "archctl tail"),
    ("ListQuarantined", "archctl quarantine list"),
    ("RetryQuarantined", "archctl quarantine retry"),
    ("DropQuarantined", "archctl quarantine drop"),
    ("SeedData", "archctl seed"),
    ("GetStats", "archctl stats"),
    ("GetWatcher", "archctl watch status"),
    ("PauseWatcher", "archctl watch pause"),
    ("ResumeWatcher", "archctl watch resume"),
    ("ListInstances", "archctl instances"),
    ("GetInstance", "archctl version"),
    ("StartVerification", "archctl verify"),
    ("GetVerification", "archctl verify show"),
    ("ListVerifications", "archctl verify list"),
    ("CancelVerification", "archctl verify cancel"),
    ("WatchVerification", "archctl verify watch"),
    ("ListDifferences", "archctl verify differences"),
    ("AcknowledgeDifference", "archctl verify acknowledge"),
    ("ListAcknowledgements", "archctl verify acknowledgements"),
    ("RepairOrders", "archctl verify repair"),
    ("ListLedger", "archctl verify ledger"),
    ("ExplainOrder", "archctl orders why"),
];

/// The text with a command in the place of each RPC.
pub(crate) fn named(text: &str) -> String {
    let mut named = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(char::is_alphanumeric) {
        let (between, from_word) = rest.split_at(start);
        let end = from_word.find(|c: char| !c.is_alphanumeric());
        let (word, after) = from_word.split_at(end.unwrap_or(from_word.len()));
        named.push_str(between);
        match COMMANDS.iter().find(|(rpc, _)| *rpc == word) {
            Some((_, command)) if between.ends_with('`') => named.push_str(command),
            Some((_, command)) => named.push_str(&format!("`{command}`")),
            None => named.push_str(word),
        }
        rest = after;
    }
    named.push_str(rest);
    named
}

#[cfg(test)]
mod tests {
    use order_archiver_api::FILE_DESCRIPTOR_SET;
    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::*;

    #[test]
    fn rpcs_become_commands_and_all_else_stays() {
        for (said, told) in [
            (
                "there is no batch é; ListBatches shows those that there are",
                "there is no batch é; `archctl batch list` shows those that there are",
            ),
            (
                "`StartBatch`, (GetStats)",
                "`archctl batch start`, (`archctl stats`)",
            ),
            ("StartBatches start_batch …", "StartBatches start_batch …"),
            ("", ""),
        ] {
            assert_eq!(named(said), told);
        }
    }

    #[test]
    fn every_rpc_of_the_contract_has_its_command() {
        let contract = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
        let files = contract.file.iter();
        let services = files
            .filter(|file| file.package() == "orderarchiver.v1")
            .flat_map(|file| &file.service);
        for rpc in services.flat_map(|service| &service.method) {
            let known = COMMANDS.iter().any(|(name, _)| *name == rpc.name());
            assert!(known, "what does one type for {}?", rpc.name());
        }
    }
}
