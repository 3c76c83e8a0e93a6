//! The messages and clients that the build script makes of `proto/etcd.proto`. Invariant: nothing
//! is written by hand here.

#![allow(clippy::pedantic, clippy::enum_variant_names, missing_debug_implementations)]

tonic::include_proto!("etcdserverpb");
