variables {
  api_url = "https://api.example"
  role    = "director"
  package = {
    url    = "https://packages.example/lvsfleet-agent_0.1.0_arm64.deb"
    sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
  }
}

run "joins_by_aws_identity_and_loads_ipvs" {
  assert {
    condition     = output.settings["LVSFLEET_JOIN"] == "aws" && output.settings["LVSFLEET_HOST_ROLE"] == "director"
    error_message = "a director joins by its identity unless told otherwise"
  }
  assert {
    condition     = strcontains(output.script, "\nip_vs\n") && !strcontains(output.script, "fou")
    error_message = "a director needs IPVS and takes no tunnels off"
  }
  assert {
    condition     = strcontains(output.script, "fetch lvsfleet-agent 'https://packages.example/lvsfleet-agent_0.1.0_arm64.deb' ${var.package.sha256}")
    error_message = "the package is fetched with its checksum"
  }
  assert {
    condition     = startswith(output.script, "#!/bin/sh\n") && yamldecode(output.cloud_config).write_files[0].content == output.script
    error_message = "both forms are the same script"
  }
}

run "loads_what_takes_tunnels_off_on_a_real_server" {
  variables {
    role            = "real-server"
    join            = "parameter"
    token_parameter = "/lvsfleet/join/a/real-server"
  }
  assert {
    condition     = strcontains(output.script, "\nfou\n") && strcontains(output.script, "\nipip\n") && !strcontains(output.script, "ip_vs")
    error_message = "a real server takes tunnels off and has no IPVS"
  }
  assert {
    condition     = output.settings["LVSFLEET_TOKEN_SSM"] == "/lvsfleet/join/a/real-server" && !contains(keys(output.settings), "LVSFLEET_JOIN")
    error_message = "the token's parameter is named"
  }
}

run "refuses_what_would_end_in_a_shell_or_in_clear_text" {
  command = plan
  variables {
    api_url        = "http://api.example"
    role           = "proxy"
    join           = "ticket"
    package        = { url = "https://x/a.deb'; reboot '.deb", sha256 = "abc" }
    host_name      = "Dir_A"
    addresses      = ["10.1.0.0/24"]
    region         = "Frankfurt"
    metrics        = "everywhere"
    kernel_modules = ["ip_vs; reboot"]
    settings       = { LVSFLEET_TOKEN = "$(reboot)" }
  }
  expect_failures = [
    var.api_url, var.role, var.join, var.package, var.host_name, var.addresses, var.region, var.metrics, var.kernel_modules,
    var.settings,
  ]
}

run "refuses_a_parameter_that_is_not_named" {
  command = plan
  variables {
    join = "parameter"
  }
  expect_failures = [var.token_parameter]
}

run "refuses_a_parameter_that_nobody_reads" {
  command = plan
  variables {
    token_parameter = "/a"
  }
  expect_failures = [var.token_parameter]
}
