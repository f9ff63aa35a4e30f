//! Tests that the settings take no URI that the driver refuses, and refuse every one that the
//! driver does.

use mongodb::options::ConnectionString;

use crate::config::{
    MongodbUri,
    uri::{
        options::tests::taken,
        tests::{IN_USE, with_option},
    },
};

#[test]
fn what_the_settings_take_the_driver_takes_too() {
    let options = taken().into_iter();
    let options = options.map(|(name, value)| with_option(name, &value));
    for uri in IN_USE.iter().map(|uri| (*uri).to_owned()).chain(options) {
        assert!(uri.parse::<MongodbUri>().is_ok(), "{uri}");
        let driver = ConnectionString::parse(&uri);
        assert!(driver.is_ok(), "{uri}: {driver:?}");
    }
}

#[test]
fn what_the_driver_refuses_the_settings_refuse_too() {
    for uri in [
        "mongodb://u:p@@h",
        "mongodb://u:p%@h",
        "mongodb://h:x",
        "mongodb://h:0",
        "mongodb://,h",
        "mongodb://h/?a=b",
        "mongodb://h/?tls",
        "mongodb://h/?tls=1",
        "mongodb://h/?maxPoolSize=x",
        "mongodb+srv://a.b.c:1",
        "mongodb://h/?tls=true&tls=true",
        "mongodb://@h",
        "mongodb://h/?uuidRepresentation=standard",
        "mongodb://h/?authMechanism=x",
        "mongodb://h/?compressors=x",
        "mongodb://[::1",
        "mongodb://h/?readPreference=x",
        "mongodb://h/?authSource=",
        "mongodb://h/?proxyHost=x",
        "mongodb://h/?srvServiceName=x",
    ] {
        assert!(ConnectionString::parse(uri).is_err(), "{uri}");
        assert!(uri.parse::<MongodbUri>().is_err(), "{uri}");
    }
}
