//! The node whose endpoint it is: a manager's control, and an engine that is hardly there.

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;
use swarm_backend::{
    ApiError, Attachments, Configs, Exchange, Local, Logs, Nodes, Part, Pools, Reply, Result,
    Secrets, Served, Services, Swarms, Tasks, full,
};
use swarm_docker::ApiVersion;
use swarm_manager::Control;
use swarm_manager::dispatcher::{LogEvent, LogOptions, LogSelector, LogSource, LogsError, Missing};
use swarm_model::Id;
use swarm_rpc::v1::LogChunk;
use tokio::sync::mpsc;

/// A manager.
pub struct Manager {
    pub control: Arc<Control>,
}

macro_rules! by_control {
    ($port:ident: $($method:ident)* ; named $($named:ident)*) => {
        #[async_trait]
        impl $port for Manager {
            $(async fn $method(&self, x: Exchange) -> Result<Reply> {
                $port::$method(&*self.control, x).await
            })*
            $(async fn $named(&self, name: &str, x: Exchange) -> Result<Reply> {
                $port::$named(&*self.control, name, x).await
            })*
        }
    };
}

by_control!(Services: list_services create_service ; named inspect_service update_service remove_service);
by_control!(Tasks: list_tasks ; named inspect_task);
by_control!(Nodes: list_nodes ; named inspect_node update_node remove_node);
by_control!(Pools: rebalance ; named);
by_control!(Secrets: list_secrets create_secret ; named inspect_secret update_secret remove_secret);
by_control!(Configs: list_configs create_config ; named inspect_config update_config remove_config);

#[async_trait]
impl Attachments for Manager {
    async fn list_networks(&self, exchange: Exchange) -> Result<Reply> {
        self.control.list_networks(exchange, self).await
    }
    async fn create_network(&self, exchange: Exchange) -> Result<Reply> {
        self.control.create_network(exchange, self).await
    }
    async fn inspect_network(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        self.control.inspect_network(name, exchange, self).await
    }
    async fn remove_network(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        self.control.remove_network(name, exchange, self).await
    }
}

#[async_trait]
impl Logs for Manager {
    async fn service_logs(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        self.control.service_logs(name, exchange).await
    }
    async fn task_logs(&self, name: &str, exchange: Exchange) -> Result<Reply> {
        self.control.task_logs(name, exchange).await
    }
}

/// As a node would: one line of the task that runs, and then the node is gone.
#[derive(Debug)]
pub struct OneLine;

#[async_trait]
impl LogSource for OneLine {
    async fn logs(
        &self,
        _selector: LogSelector,
        _options: LogOptions,
    ) -> std::result::Result<mpsc::Receiver<LogEvent>, LogsError> {
        let (out, lines) = mpsc::channel(2);
        let (node, task): (Id, Id) = ("n2worker".into(), Id::from_bits(7));
        let chunk = LogChunk {
            task_id: task.to_string(),
            stream: 1,
            at: "2024-06-07T21:07:31.290032978Z".to_owned(),
            line: " ready to serve\n".into(),
            ..LogChunk::default()
        };
        let reason = "the node is not connected".to_owned();
        let missing = Missing { node: node.clone(), tasks: [task].into(), reason };
        out.try_send(LogEvent::Line { node, chunk }).unwrap();
        out.try_send(LogEvent::Over(vec![missing])).unwrap();
        Ok(lines)
    }
}

fn no_change() -> Result<Reply> {
    Err(ApiError::not_implemented("this node stays what it is"))
}

#[async_trait]
impl Swarms for Manager {
    async fn inspect_swarm(&self, _exchange: Exchange) -> Result<Reply> {
        self.control.inspect_swarm().await
    }
    async fn update_swarm(&self, exchange: Exchange) -> Result<Reply> {
        self.control.update_swarm(exchange).await
    }
    async fn init_swarm(&self, _exchange: Exchange) -> Result<Reply> {
        no_change()
    }
    async fn join_swarm(&self, _exchange: Exchange) -> Result<Reply> {
        no_change()
    }
    async fn leave_swarm(&self, _exchange: Exchange) -> Result<Reply> {
        no_change()
    }
    async fn unlock_key(&self, _exchange: Exchange) -> Result<Reply> {
        no_change()
    }
    async fn unlock_swarm(&self, _exchange: Exchange) -> Result<Reply> {
        no_change()
    }
    async fn backup_swarm(&self, _exchange: Exchange) -> Result<Reply> {
        no_change()
    }
    async fn swarm_ways(&self, _exchange: Exchange) -> Result<Reply> {
        no_change()
    }
}

#[async_trait]
impl Local for Manager {
    fn served(&self) -> Served {
        let newest = ApiVersion::new(1, 50);
        Served { oldest: ApiVersion::OLDEST, newest, promised: newest }
    }

    fn part(&self) -> Part {
        Part::Manager
    }

    async fn pass(&self, exchange: Exchange) -> Result<Reply> {
        let path = exchange.path.with("");
        match path.as_str() {
            "/_ping" => {
                let mut headers = HeaderMap::new();
                headers.insert("ostype", HeaderValue::from_static("linux"));
                Ok(Reply { status: StatusCode::OK, headers, body: full("OK"), upgraded: None })
            }
            "/version" => {
                Reply::ok(&json!({ "Version": "28.2.2", "ApiVersion": "1.50", "Os": "linux" }))
            }
            "/networks" if exchange.query.get("filters").is_none_or(|filters| filters == "{}") => {
                Reply::ok(&json!([
                    { "Name": "bridge", "Id": "e1", "Scope": "local", "Driver": "bridge" }
                ]))
            }
            "/networks" => Reply::ok(&json!([])),
            _ => Err(ApiError::not_found(format!("there is no {path} here"))),
        }
    }

    async fn node_events(&self, exchange: Exchange) -> Result<Reply> {
        self.pass(exchange).await
    }

    async fn node_info(&self, _exchange: Exchange) -> Result<Reply> {
        let swarm =
            json!({ "NodeID": "n1manager", "LocalNodeState": "active", "ControlAvailable": true });
        Reply::ok(&json!({ "ID": "engine", "OSType": "linux", "Swarm": swarm }))
    }
}
