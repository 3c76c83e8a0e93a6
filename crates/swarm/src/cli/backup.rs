//! The flags of `swarm backup` and `swarm restore`.

use clap::Args;

use super::ManagerFlags;

pub(super) const BACKUP_HELP: &str = "\
Examples:
  swarm backup --passphrase-file /etc/swarm/passphrase /backups/swarm-today
  swarm backup /backups/swarm-today < /etc/swarm/passphrase

The file holds all that the swarm's managers have: services, secrets, the certificate authority's
key, join tokens. It is sealed with the passphrase (Argon2id, AES-256-GCM-SIV); the swarm's unlock
key can be one. Keep the two apart from each other, and both off the managers.";

pub(super) const RESTORE_HELP: &str = "\
Example, after all managers were lost:
  swarm restore --passphrase-file /etc/swarm/passphrase /backups/swarm-today
  swarm daemon

The daemon goes on as the swarm's one manager, with its services, secrets, tokens and certificate
authority. Workers come back by themselves where the address is one that they know. Where it is
another, start each worker's daemon once with it: swarm daemon --manager HOST:PORT. Other managers
that are still there are managers no longer: have them leave, and join again.";

/// Where the passphrase comes from.
#[derive(Debug, Default, Args)]
pub struct PassphraseFlags {
    /// File whose first line is the passphrase; without it, and without the variable, it is read
    /// from the standard input [env: SWARM_BACKUP_PASSPHRASE, the passphrase itself]
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<String>,
}

/// Flags of `swarm backup`.
#[derive(Debug, Args)]
pub struct BackupFlags {
    /// The file; there must be none
    #[arg(value_name = "FILE")]
    pub file: String,
    /// The passphrase.
    #[command(flatten)]
    pub passphrase: PassphraseFlags,
    /// Whom to ask.
    #[command(flatten)]
    pub manager: ManagerFlags,
}

/// Flags of `swarm restore`.
#[derive(Debug, Args)]
pub struct RestoreFlags {
    /// The backup
    #[arg(value_name = "FILE")]
    pub file: String,
    /// The passphrase.
    #[command(flatten)]
    pub passphrase: PassphraseFlags,
    /// Folder that becomes the manager's: it must be empty, or not there
    /// [default: /var/lib/swarm] [env: SWARM_DATA_DIR]
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: Option<String>,
    /// Where other nodes reach the manager, HOST:PORT [default: where they reached the one that made
    /// the backup]
    #[arg(long, value_name = "ADDRESS")]
    pub advertise_addr: Option<String>,
    /// Where it listens, HOST:PORT [default: where the one that made the backup did]
    #[arg(long, value_name = "ADDRESS")]
    pub listen_addr: Option<String>,
}
