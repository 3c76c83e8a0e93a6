//! The system as a whole: versions, `info`, events, disk usage, credentials.

use async_trait::async_trait;
use http::StatusCode;
use serde_json::json;
use swarm_backend::{BuilderVersion, Effect, Exchange, Reply, Result, Served, System};
use swarm_docker::ApiVersion;

use super::Copied;
use crate::Pool;

#[async_trait]
impl System for Pool {
    fn served(&self) -> Served {
        self.versions.served()
    }

    fn builder_version(&self) -> BuilderVersion {
        self.common_builder()
    }

    async fn version(&self, _: Exchange) -> Result<Reply> {
        let served = self.served();
        let build = self.shared.config.build;
        // The fields of `GET /version` (v1.41); the name and the form of `Version` are those by
        // which tools recognise a classic Swarm.
        let os = std::env::consts::OS;
        let arch = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let details = json!({
            "ApiVersion": served.newest.to_string(),
            "MinAPIVersion": served.oldest.to_string(),
            "Os": os,
            "Arch": arch,
            "GitCommit": build.commit,
        });
        Reply::ok(&json!({
            "Platform": {"Name": "Swarm pool"},
            "Components": [{"Name": "Swarm", "Version": build.version, "Details": details}],
            "Version": format!("swarm/{}", build.version),
            "ApiVersion": served.newest.to_string(),
            "MinAPIVersion": served.oldest.to_string(),
            "GitCommit": build.commit,
            "Os": os,
            "Arch": arch,
            "KernelVersion": kernel.trim(),
        }))
    }

    async fn info(&self, _: Exchange) -> Result<Reply> {
        self.settle_all().await;
        Ok(Reply::json(StatusCode::OK, self.info_json()?))
    }

    async fn events(&self, exchange: Exchange) -> Result<Reply> {
        self.event_stream(exchange).await
    }

    async fn disk_usage(&self, exchange: Exchange) -> Result<Reply> {
        self.usage(exchange).await
    }

    async fn auth(&self, exchange: Exchange) -> Result<Reply> {
        let request = Copied::read(exchange).await?;
        request.send(&*self.any_engine()?, "", Effect::Reads).await
    }
}

impl Pool {
    /// BuildKit is announced when every engine announces it: 23 and newer do.
    fn common_builder(&self) -> BuilderVersion {
        const FIRST_WITH_BUILDKIT: ApiVersion = ApiVersion::new(1, 42);
        if self.served().newest >= FIRST_WITH_BUILDKIT && !self.members.reachable().is_empty() {
            BuilderVersion::BuildKit
        } else {
            BuilderVersion::Classic
        }
    }
}
