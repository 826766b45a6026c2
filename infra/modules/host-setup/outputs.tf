output "script" {
  description = "A shell script for Debian and Ubuntu, to be run as root; as user data of EC2 it needs nothing around it."
  value       = local.script
}

output "cloud_config" {
  description = "The same as #cloud-config, for machines that have a cloud-init of their own to merge it into."
  value = "#cloud-config\n${yamlencode({
    write_files = [{ path = "/usr/local/sbin/lvsfleet-setup", permissions = "0755", content = local.script }]
    runcmd      = [["/usr/local/sbin/lvsfleet-setup"]]
  })}"
}

output "settings" {
  description = "What is in /etc/lvsfleet/agent.env."
  value       = local.settings
}
