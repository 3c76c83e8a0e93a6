//! Compiles `proto/etcd.proto` to Rust, without `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let described = protox::compile(["proto/etcd.proto"], ["proto"])?;
    tonic_prost_build::configure()
        .build_server(false)
        .build_transport(false)
        .bytes(".")
        .emit_rerun_if_changed(false)
        .compile_fds(described)?;
    println!("cargo:rerun-if-changed=proto/etcd.proto");
    Ok(())
}
