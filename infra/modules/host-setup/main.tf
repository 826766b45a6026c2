# How a host becomes a director or real server: one script, whoever runs it (cloud-init, State Manager, a person). Makes
# nothing in AWS.

locals {
  # What nothing loads by itself, and what a first packet should not wait for.
  modules_of = {
    director    = ["ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_lc", "ip_vs_wlc", "ip_vs_sh", "ip_vs_mh"]
    real-server = ["ipip", "sit", "ip6_tunnel", "ip_gre", "ip6_gre", "fou", "fou6"]
  }

  ways_in = {
    aws       = { LVSFLEET_JOIN = "aws" }
    parameter = { LVSFLEET_TOKEN_SSM = var.token_parameter }
    file      = { LVSFLEET_TOKEN_FILE = "/etc/lvsfleet/join-token" }
  }

  settings = merge(
    {
      LVSFLEET_API       = var.api_url
      LVSFLEET_HOST_ROLE = var.role
      LVSFLEET_METRICS   = var.metrics
    },
    local.ways_in[var.join],
    var.host_name == null ? {} : { LVSFLEET_HOST_NAME = var.host_name },
    length(var.addresses) == 0 ? {} : { LVSFLEET_ADDRESSES = join(",", var.addresses) },
    var.region == null ? {} : { AWS_REGION = var.region },
    var.settings,
  )

  script = templatefile("${path.module}/setup.sh.tftpl", {
    packages       = merge(var.ssm_agent_package == null ? {} : { amazon-ssm-agent = var.ssm_agent_package }, { lvsfleet-agent = var.package })
    kernel_modules = coalesce(var.kernel_modules, local.modules_of[var.role])
    settings       = local.settings
  })
}
