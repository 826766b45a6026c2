export const HELP = `lvsfleet-agent: makes this host's kernel as the fleet's control plane says

Usage: lvsfleet-agent [command] [options]

Commands
  run            (default) program the last good state, then poll, apply, verify and report for ever
  enrol          buy an identity and exit
  apply FILE     break-glass, no control plane: a signed state document or a plain HostState as JSON
  hold           stop applying; forwarding goes on as it is
  release        apply again, and forget quarantined states
  status         what is in force on this host, from disk
  key            this host's public key, for publicKey of a director or real server; made when there is none
  doctor         look for what is set wrong on this host, and say what mends it

Options
  --state-dir DIR        identity, last good states, ledger     [LVSFLEET_STATE_DIR, /var/lib/lvsfleet-agent]
  --api URL              the control plane                      [LVSFLEET_API]
  --role ROLE            director or real-server, for enrolment [LVSFLEET_HOST_ROLE]
  --name NAME            this host's name, for enrolment        [LVSFLEET_HOST_NAME]
  --address IP           address to declare at enrolment, repeatable [LVSFLEET_ADDRESSES, by commas]
  --token-file FILE      join token; prefer it to --token, which other users of the host can see
  --token TOKEN          join token                             [LVSFLEET_TOKEN]
  --token-ssm NAME       join token in AWS SSM Parameter Store, read by this host's role [LVSFLEET_TOKEN_SSM]
  --join token|aws|key   how to come in: by a token, by this host's AWS identity, or by a key that
                         was declared beforehand (see key)      [LVSFLEET_JOIN, token]
  --aws-region REGION    whose STS says who this host is        [AWS_REGION, else this instance's]
  --again                enrol: with a new key, though this host has an identity
  --once                 run: one start, one poll, one report, then exit
  --dry-run              run, apply: print the plan, change nothing
  --detailed-exitcode    with --dry-run: exit 4 when there are changes
  --allow-shrink         apply: take away as much as the file says
  --force                apply: take a state older than the one in force
  --reason TEXT          hold, apply --force: kept and shown by status
  --fix                  doctor: do what is safe (own objects, modules), then look again
  --only CHECK           doctor: only this check, repeatable; --list shows them
  --list                 doctor: the checks
  --json                 doctor: findings as JSON
  --self-checks on|off   run: try out what this kernel can, and look every 5 minutes [LVSFLEET_SELF_CHECKS, on]
  --allow-scripts DIR    run: health checks may run the programs that root put there [LVSFLEET_ALLOW_SCRIPTS, none]
  --path-seconds N       run: measure each path's MTU this often, 0 = never [LVSFLEET_PATH_SECONDS, 300]
  --rotate-key-days N    run: replace this host's key at this age, 0 = never [LVSFLEET_ROTATE_KEY_DAYS, 7]
  --metrics IP:PORT|off  run: answer Prometheus there, at /metrics [LVSFLEET_METRICS, 127.0.0.1:9614]
  --output table|json    status
  --log plain|json       log lines on stderr                    [LVSFLEET_LOG_FORMAT]

Exit codes: 0 ok, 1 failure, 2 usage, 3 refused or held, 4 changes pending (--dry-run --detailed-exitcode),
doctor: 5 at risk, 6 broken

Examples
  lvsfleet-agent --api https://fleet.example --role director --name lb1 --address 10.1.0.10 --token-file /run/token
  lvsfleet-agent --api https://fleet.example --join aws
  lvsfleet-agent run --dry-run --detailed-exitcode
  lvsfleet-agent hold --reason 'incident 42' && lvsfleet-agent status
  lvsfleet-agent apply /root/last-good.state --allow-shrink
`
