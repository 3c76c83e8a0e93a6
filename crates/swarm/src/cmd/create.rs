//! `swarm create`: a token for a new pool. It needs the token discovery service, which comes
//! with token:// itself; until then it says so.

/// Says what is not there yet and what to use meanwhile.
pub fn run() -> anyhow::Result<()> {
    anyhow::bail!(
        "tokens are not built yet in this version (the public discovery service that gave them \
         is gone); name the pool's engines in a list or a file instead, see 'swarm manage --help'"
    )
}
