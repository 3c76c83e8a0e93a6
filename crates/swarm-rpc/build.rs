//! Compiles `proto/swarm.proto` to Rust, without `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let described = protox::compile(["proto/swarm.proto"], ["proto"])?;
    tonic_prost_build::configure()
        .bytes(".")
        .emit_rerun_if_changed(false)
        .compile_fds(described)?;
    println!("cargo:rerun-if-changed=proto/swarm.proto");
    Ok(())
}
