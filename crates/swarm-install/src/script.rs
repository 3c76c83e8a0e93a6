//! What runs on the other machine: small scripts of a POSIX shell, each given its values as arguments.
//!
//! They go through the person's login shell over there, whichever that is, as one quoted word. Invariant: no
//! script has a single quote or a backslash, so that sh, bash, zsh, ksh and fish read the same (a test looks).

/// Where the binary is put.
pub const BINARY: &str = "/usr/local/bin/swarm";
/// Where packages have it.
pub const PACKAGED: &str = "/usr/bin/swarm";
/// The unit's name.
pub const UNIT: &str = "swarm-daemon.service";
/// Where the unit is put.
pub const UNIT_FILE: &str = "/etc/systemd/system/swarm-daemon.service";
/// Where the manifest is.
pub const MANIFEST: &str = "/etc/swarm/up.json";
/// The manifest's folder.
pub const SETTINGS: &str = "/etc/swarm";
/// The daemon's settings for an endpoint on TCP.
pub const ENDPOINT: &str = "/etc/swarm/up.toml";
/// The endpoint's authority, certificate and key.
pub const ENDPOINT_FILES: [&str; 3] =
    ["/etc/swarm/up-ca.pem", "/etc/swarm/up-cert.pem", "/etc/swarm/up-key.pem"];
/// The unit of a pool's agent, and where it is put.
pub const JOIN_UNIT: &str = "swarm-join.service";
/// The same of a pool's manager.
pub const MANAGE_UNIT: &str = "swarm-manage.service";
/// Where units are put.
pub const UNITS: &str = "/etc/systemd/system";
/// The pool's token with which its agents join.
pub const NODE_TOKEN: &str = "/etc/swarm/up-token";
/// The one with which its managers do.
pub const MANAGER_TOKEN: &str = "/etc/swarm/up-manager-token";
/// What a pool's manager keeps.
pub const POOL_DATA: &str = "/var/lib/swarm/manage";
/// A pool manager's socket.
pub const POOL_SOCKET: &str = "/run/swarm/pool.sock";
/// What a node keeps.
pub const DATA: &str = "/var/lib/swarm";
/// A daemon's sockets.
pub const RUN: &str = "/run/swarm";
/// The node endpoint's socket.
pub const NODE_SOCKET: &str = "/run/swarm/docker.sock";

/// Who is there: needs no rights.
pub const WHO: &str = r#"
echo "uid $(id -u)"
if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null 2>&1; then
        if sudo -n true >/dev/null 2>&1; then echo "sudo yes"; else echo "sudo refused"; fi
    else
        echo "sudo missing"
    fi
fi
[ -z "$SSH_CONNECTION" ] || echo "connection $SSH_CONNECTION"
"#;

/// What is there, a line each: a word and its value. Arguments: binary, packaged binary, unit, manifest, data,
/// node socket.
pub const FACTS: &str = r#"
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
say() { printf "%s %s" "$1" "$2"; echo; }
say kernel "$(uname -s)"
say machine "$(uname -m)"
say hostname "$(uname -n)"
say clock "$(date +%s)"
[ -r /etc/os-release ] && say os "$(. /etc/os-release; echo "$PRETTY_NAME")"
systemd=
if [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1; then systemd=yes; say systemd yes; fi
socket=/var/run/docker.sock
info=
if [ -S $socket ]; then
    say socket yes
    if command -v curl >/dev/null 2>&1; then
        info=$(curl --silent --max-time 5 --unix-socket $socket http://docker/info 2>/dev/null)
    elif command -v docker >/dev/null 2>&1; then
        info=$(DOCKER_HOST=unix://$socket timeout 5 docker info --format "{{json .}}" 2>/dev/null)
    else
        say unasked yes
    fi
    [ -z "$info" ] || say info "$(printf "%s" "$info" | tr -d "[:cntrl:]")"
fi
command -v dockerd >/dev/null 2>&1 && say dockerd yes
sum() { sha256sum <"$1" 2>/dev/null | cut -d" " -f1; }
[ -e "$1" ] && say binary "$(sum "$1")"
[ -x "$2" ] && say packaged "$("$2" --version 2>/dev/null)"
if [ -n "$systemd" ]; then
    unit=$(systemctl show "$3" --property=FragmentPath --value 2>/dev/null)
    if [ -n "$unit" ]; then
        say unit "$unit"
        say unit-sum "$(sum "$unit")"
        say active "$(systemctl is-active "$3" 2>/dev/null)"
        say enabled "$(systemctl is-enabled "$3" 2>/dev/null)"
    fi
fi
if [ -n "$systemd" ]; then
    for name in swarm-join.service swarm-manage.service; do
        unit=$(systemctl show "$name" --property=FragmentPath --value 2>/dev/null)
        [ -n "$unit" ] || continue
        active=$(systemctl is-active "$name" 2>/dev/null)
        enabled=$(systemctl is-enabled "$name" 2>/dev/null)
        say service "$name $(sum "$unit") $active $enabled $unit"
    done
fi
for token in /etc/swarm/up-token /etc/swarm/up-manager-token; do
    [ ! -s "$token" ] || say token "$token"
done
ports=$(grep -hs " 0A " /proc/net/tcp /proc/net/tcp6 | while read -r n at rest; do echo "${at##*:}"; done | sort -u)
say listening "$(printf "%s" "$ports" | tr "[:space:]" " ")"
[ -r "$4" ] && say manifest "$(tr -d "[:cntrl:]" <"$4")"
[ -e "$(dirname "$4")" ] && say settings yes
[ -e "$5" ] && say data yes
[ -e "$5/raft" ] && say store yes
[ -S "$6" ] && say node-socket yes
grep -qs " [0-9A-F]*:0949 [0-9A-F]*:0000 0A " /proc/net/tcp /proc/net/tcp6 && say port-2377 taken
if command -v firewall-cmd >/dev/null 2>&1 && [ "$(firewall-cmd --state 2>/dev/null)" = running ]; then
    [ "$(firewall-cmd --query-port=2377/tcp 2>/dev/null)" = yes ] || say firewall firewalld
elif command -v ufw >/dev/null 2>&1 && ufw status 2>/dev/null | grep -q "Status: active"; then
    ufw status 2>/dev/null | grep -q 2377 || say firewall ufw
elif command -v nft >/dev/null 2>&1; then
    rules=$(timeout 5 nft list ruleset 2>/dev/null)
    if printf "%s" "$rules" | grep -q "hook input .*policy drop"; then
        printf "%s" "$rules" | grep -q 2377 || say firewall nftables
    fi
fi
say end yes
"#;

/// Puts what comes on the standard input to a file, whole or not at all. Arguments: file, mode, its SHA-256, and
/// `run` where it has to be a program that runs here.
pub const PUT: &str = r#"
set -e
umask 077
mkdir -p -m 755 "$(dirname "$1")"
new=$1.new
clean() { rm -f "$new"; }
trap clean EXIT
cat >"$new"
sum=$(sha256sum <"$new" | cut -d" " -f1)
if [ "$sum" != "$3" ]; then echo "it did not arrive whole" >&2; exit 1; fi
chmod "$2" "$new"
if [ "$4" = run ]; then "$new" --version >/dev/null; fi
mv -f "$new" "$1"
"#;

/// Turns a unit on, and starts it. Arguments: unit, `start` or `restart`.
pub const START: &str = r#"
set -e
systemctl daemon-reload
systemctl --quiet enable "$1"
if systemctl "$2" "$1"; then exit 0; fi
echo "what it said last:" >&2
journalctl --unit="$1" --lines=5 --output=cat --no-pager >&2
exit 1
"#;

/// Stops a unit and turns it off. Argument: unit.
pub const STOP: &str = r#"
set -e
systemctl stop "$1"
systemctl --quiet disable "$1"
"#;

/// Tells a token. Argument: its file.
pub const TOKEN: &str = r#"
set -e
cat "$1"
"#;

/// Takes a pool's manager out of its store, once it is stopped. Arguments: unit, and its command line.
pub const LEAVE_STORE: &str = r#"
set -e
systemctl stop "$1"
shift
timeout 60 "$@"
"#;

/// Removes what was put there. Arguments: manifest, run folder, how many folders follow, these, then files.
pub const CLEAN: &str = r#"
set -e
manifest=$1 run=$2 folders=$3
shift 3
list=
while [ "$folders" -gt 0 ]; do
    case $1 in
    /var/lib/swarm|/etc/swarm) list="$list $1" ;;
    *) echo "the manifest names $1, which is none of ours" >&2; exit 1 ;;
    esac
    shift
    folders=$((folders - 1))
done
for file; do rm -f "$file"; done
rm -rf "$run"
for folder in $list; do
    [ "$folder" = /etc/swarm ] || rm -rf "$folder"
done
systemctl daemon-reload
for unit in swarm-daemon swarm-join swarm-manage; do
    systemctl reset-failed "$unit.service" 2>/dev/null || true
done
# Last, with its folder: what breaks off before is known, and done again.
rm -f "$manifest"
for folder in $list; do
    [ "$folder" != /etc/swarm ] || rmdir "$folder" 2>/dev/null || echo "kept $folder: it has files of others"
done
"#;

/// A word of a shell command.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The command line for the other machine: a script with its arguments, as root by `sudo` where asked.
pub fn line(script: &str, arguments: &[&str], sudo: bool) -> String {
    let mut words = vec![if sudo { "sudo -n -- sh -c" } else { "sh -c" }.to_owned()];
    words.push(quote(script.trim()));
    words.push("sh".to_owned());
    words.extend(arguments.iter().map(|word| quote(word)));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn every_shell_reads_the_scripts_alike() {
        for script in [WHO, FACTS, PUT, START, STOP, TOKEN, LEAVE_STORE, CLEAN] {
            assert!(!script.contains(['\'', '\\']), "{script}");
            let checked = Command::new("sh").args(["-n", "-c", script]).output().unwrap();
            assert!(checked.status.success(), "{checked:?}\n{script}");
        }
    }

    #[test]
    fn words_survive_the_shell() {
        let word = r#"a 'b' "c" $HOME `d`"#;
        let line = line("printf %s \"$1\"", &[word], false);
        let output = Command::new("sh").arg("-c").arg(line).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
    }

    #[test]
    fn a_file_is_put_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("in/here");
        let put = |text: &str, sum: &str| {
            let path = file.display().to_string();
            let line = line(PUT, &[&path, "600", sum, ""], false);
            let mut command = Command::new("sh");
            let from = folder.path().join("from");
            std::fs::write(&from, text).unwrap();
            command.arg("-c").arg(line).stdin(std::fs::File::open(from).unwrap());
            command.output().unwrap().status.success()
        };
        let sum = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
        assert!(put("foo", sum));
        assert!(!put("bar", sum));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "foo");
        assert!(!folder.path().join("in/here.new").exists());
    }

    #[test]
    fn only_folders_of_ours_are_ever_removed() {
        let line = line(CLEAN, &["/nowhere/up.json", "/nowhere/run", "1", "/home"], false);
        let output = Command::new("sh").arg("-c").arg(line).output().unwrap();
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains("none of ours"));
    }

    /// A folder in which `CLEAN` has all its places, and the programs that it calls: `rm` fails where `broken`.
    fn cleaned(folder: &tempfile::TempDir, broken: bool) -> std::process::Output {
        let at = |name: &str| folder.path().join(name).display().to_string();
        std::fs::create_dir_all(at("bin")).unwrap();
        let fails = if broken { "case $* in *lib*) exit 1 ;; esac" } else { "" };
        let rm = format!("#!/bin/sh\n{fails}\nexec /bin/rm \"$@\"\n");
        for (name, text) in [("bin/rm", rm.as_str()), ("bin/systemctl", "#!/bin/sh\n")] {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::write(at(name), text).unwrap();
            std::fs::set_permissions(at(name), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let script = CLEAN.replace("/var/lib/swarm", &at("lib")).replace("/etc/swarm", &at("etc"));
        let (manifest, run, etc, lib) = (at("etc/up.json"), at("run"), at("etc"), at("lib"));
        let line = line(&script, &[&manifest, &run, "2", &etc, &lib, &at("swarm")], false);
        let path = format!("{}:/usr/bin:/bin", at("bin"));
        Command::new("sh").arg("-c").arg(line).env("PATH", path).output().unwrap()
    }

    #[test]
    fn the_manifest_goes_after_all_that_it_names() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["etc", "lib", "run"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        for name in ["etc/up.json", "lib/store", "swarm"] {
            std::fs::write(at(name), "").unwrap();
        }
        assert!(!cleaned(&folder, true).status.success());
        assert!(at("lib").exists() && at("etc/up.json").exists(), "what stays is still noted");
        let output = cleaned(&folder, false);
        assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
        for name in ["etc", "lib", "run", "swarm"] {
            assert!(!at(name).exists(), "{name}");
        }
    }

    #[test]
    fn a_managers_store_is_seen_though_its_daemon_does_not_run() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().display().to_string();
        let looked = || {
            let none = "/nowhere";
            let line = line(FACTS, &[none, none, "no-such.service", none, &data, none], false);
            let output = Command::new("sh").arg("-c").arg(line).output().unwrap();
            crate::facts::Facts::read(&String::from_utf8_lossy(&output.stdout)).unwrap()
        };
        let worker = looked();
        assert!(worker.data && !worker.store);
        std::fs::create_dir(folder.path().join("raft")).unwrap();
        assert!(looked().store);
    }
}
