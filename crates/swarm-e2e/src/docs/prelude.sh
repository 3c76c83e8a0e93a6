# What every script of the documentation's test begins with. Given: DOCS, the folder of all scripts; KEPT,
# what the shell before this one knew; WORK, where a person's files are.
exec 2>&1 </dev/null
mkdir -p "$WORK" "$HOME" /run/docs
cd "$WORK" || exit
[ ! -e "$KEPT" ] || . "$KEPT" >/dev/null 2>&1

docs_begin() { printf '\036b%s\n' "$1"; }
# $1 is the status, $2 whether the command has to fail.
docs_end() {
    printf '\036e%s\n' "$1"
    [ $(($1 != 0)) = "$2" ] || exit 1
}
docs_keep() {
    { declare -p; declare -f; printf 'cd %q\n' "$PWD"; } >"$KEPT"
}

# A program that goes on: in the background, until it serves or has ended.
docs_serve() {
    local log pid tries=0
    log=$(mktemp "/run/docs/$1.XXXXXX")
    setsid "$(type -P swarm)" "$@" >"$log" 2>&1 &
    pid=$!
    echo $pid >"/run/docs/$1.pid"
    until grep -qE 'listening on .*|starting the node|serving tokens|registering services| registered |configuration is in place|is as it should be' "$log"; do
        if ! kill -0 $pid 2>/dev/null; then
            cat "$log"
            wait $pid
            return
        fi
        tries=$((tries + 1))
        [ $tries -lt 600 ] || { cat "$log"; return 1; }
        sleep 0.05
    done
    docs_settle "$@"
}

# Before anybody types the next command, a manager has looked at its engines.
docs_settle() {
    local arguments=() host='' tries=0 said
    case $1 in manage | m) ;; *) return 0 ;; esac
    while [ $# -gt 0 ]; do
        case $1 in
        -H | --host) [ -n "$host" ] || host=$2; shift ;;
        --tlsverify) arguments+=("$1") ;;
        --tlscacert | --tlscert | --tlskey) arguments+=("$1" "$2"); shift ;;
        esac
        shift
    done
    host=${host:-${SWARM_HOST:-tcp://127.0.0.1:2375}}
    host=${host/0.0.0.0/127.0.0.1}
    while [ $tries -lt 100 ]; do
        said=$(timeout 5 "$(type -P swarm)" status -H "$host" "${arguments[@]}" 2>&1) || true
        case $said in *healthy:*) return 0 ;; *ending* | *refused*) ;; *) [ $tries -lt 10 ] || return 0 ;; esac
        tries=$((tries + 1))
        sleep 0.1
    done
}

# What a person ends by Ctrl-C when it was seen.
docs_briefly() {
    local status=0
    timeout 2 "$@" || status=$?
    [ $status = 124 ] || return $status
}

swarm() {
    case " $* " in *' --help '* | *' --version '*) command swarm "$@"; return ;; esac
    case ${1-} in
    manage | m | daemon | join | j | registrator) docs_serve "$@" ;;
    discovery) case ${2-} in list | remove) command swarm "$@" ;; *) docs_serve "$@" ;; esac ;;
    proxy)
        case " $* " in
        *' --print '* | *' --print-template '* | *' --once '*) command swarm "$@" ;;
        *) docs_serve "$@" ;;
        esac
        ;;
    top) case " $* " in *' --once '*) command swarm "$@" ;; *) docs_briefly script -qefc "$(type -P swarm) $*" /dev/null ;; esac ;;
    *) command swarm "$@" ;;
    esac
}

docker() {
    case " $* " in
    *' -it '* | *' -ti '*) echo exit | script -qefc "$(printf '%q ' "$(type -P docker)" "$@")" /dev/null ;;
    *' events '* | *' stats '* | *' logs -f '* | *' logs --follow '*)
        docs_briefly "$(type -P docker)" "$@"
        ;;
    *) command docker "$@" ;;
    esac
}

# The workspace's own way to start the program.
cargo() {
    while [ $# -gt 0 ] && [ "$1" != -- ]; do shift; done
    shift
    swarm "$@"
}

# The units are this repository's, or what the page before wrote; there is no systemd on these machines.
systemctl() {
    local verb=$1 unit pid
    shift
    [ "${1-}" != --now ] || shift
    case $verb in daemon-reload) return 0 ;; esac
    for unit in "$@"; do
        unit=${unit%.service}
        if [ "$unit" = docker ]; then
            docs_engine || return
            continue
        fi
        pid=$(cat "/run/docs/unit-$unit.pid" 2>/dev/null) || pid=
        case $verb in
        stop | restart | disable)
            [ -z "$pid" ] || docs_end_of "$pid"
            ;;
        esac
        case $verb in
        reload) kill -HUP "$pid" ;;
        start | restart | enable) docs_unit "$unit" ;;
        esac
    done
}

# This machine's engine, started anew; with the flags of a drop-in of its unit, if there is one.
docs_engine() {
    local script="$SWARM_LAB/dockerd.sh" flags
    flags=$(sed -n ':a;/\\$/{N;s/\\\n//;ba};s/^ExecStart=[^ ]*dockerd//p' /etc/systemd/system/docker.service.d/*.conf 2>/dev/null) || true
    touch /run/docs/engine.changed
    docs_end_of "$(cat /run/docker.pid)" || return
    if [ -n "$flags" ]; then
        sed -i "s# '--host=tcp:[^']*'##g; s# '--tls[^']*'##g; s#\$# ${flags//-H fd:\/\//}#" "$script"
    fi
    sh "${SWARM_LAB%/*}/start.sh" "$SWARM_LAB"
    docs_until "$(type -P docker)" -H unix:///run/docker.sock version
}

docs_end_of() {
    local tries=0
    kill "$1" 2>/dev/null
    while kill -0 "$1" 2>/dev/null; do
        tries=$((tries + 1))
        [ $tries -lt 400 ] || { echo "process $1 does not end"; return 1; }
        sleep 0.05
    done
}

docs_unit() {
    local file="/etc/systemd/system/$1.service" start environment
    [ -e "$file" ] || file="$REPOSITORY/contrib/systemd/$1.service"
    [ -e "$file" ] || { echo "no unit $1"; return 1; }
    start=$(sed -n ':a;/\\$/{N;s/\\\n//;ba};s/^ExecStart=//p' "$file")
    environment=$(sed -n 's/^EnvironmentFile=//p' "$file")
    set -- "$1" ${start#* }
    (
        [ -z "$environment" ] || { set -a; . "$environment" || exit; }
        unit=$1
        shift
        docs_serve "$@" || exit
        cp "/run/docs/$1.pid" "/run/docs/unit-$unit.pid"
    )
}

# Certificates as docs/tls.md makes them, in this folder: ca.pem, cert.pem, key.pem.
docs_certificates() {
    [ ! -e ca.pem ] || return 0
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj '/CN=authority' \
        -keyout ca-key.pem -out ca.pem 2>/dev/null &&
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj '/CN=manager' \
            -keyout key.pem -out request.pem 2>/dev/null &&
        printf 'extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=IP:127.0.0.1,IP:10.0.0.11,DNS:manager\n' >names.txt &&
        openssl x509 -req -in request.pem -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 30 \
            -extfile names.txt -out cert.pem 2>/dev/null
}

# Stores of this machine, for pages that speak of them.
docs_etcd() {
    setsid etcd --data-dir /run/docs/etcd --listen-client-urls http://0.0.0.0:2379 \
        --advertise-client-urls http://10.0.0.11:2379 >/run/docs/etcd.log 2>&1 &
    docs_until etcdctl --endpoints=http://127.0.0.1:2379 endpoint health
}
docs_consul() {
    setsid consul agent -dev -client 0.0.0.0 -bind 127.0.0.1 >/run/docs/consul.log 2>&1 &
    docs_until curl -sf http://127.0.0.1:8500/v1/status/leader
}

# Until a command succeeds; what it said last, if it does not within half a minute.
docs_until() {
    local tries=0 said
    until said=$("$@" 2>&1); do
        tries=$((tries + 1))
        [ $tries -lt 300 ] || { echo "$said"; return 1; }
        sleep 0.1
    done
}
