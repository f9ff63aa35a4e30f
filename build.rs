//! Turns `proto/` into Rust with protox, in pure Rust: no `protoc` is needed.

use std::{env, error::Error, fs, path::PathBuf};

const ROOT: &str = "proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    // Naming the folder keeps an edit of proto/lib.rs from generating everything anew.
    println!("cargo::rerun-if-changed={ROOT}/orderarchiver");

    let mut protos: Vec<PathBuf> = fs::read_dir(format!("{ROOT}/orderarchiver/v1"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    protos.sort();

    let mut compiler = protox::Compiler::new([ROOT])?;
    compiler
        .include_source_info(true)
        .include_imports(true)
        .open_files(&protos)?;
    fs::write(
        PathBuf::from(env::var("OUT_DIR")?).join("descriptors.bin"),
        compiler.encode_file_descriptor_set(),
    )?;

    let mut config = tonic_prost_build::Config::new();
    // `prost::Name` lets archctl look a message up in the descriptors and print it as JSON.
    config.enable_type_names();
    tonic_prost_build::configure()
        .emit_rerun_if_changed(false)
        .compile_fds_with_config(compiler.file_descriptor_set(), config)?;
    Ok(())
}
