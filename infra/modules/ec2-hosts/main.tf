# Hosts on EC2 with names, addresses and identities that stay. Used by the modules director and real-server.
#
# Not an auto scaling group: a launch template has no source/destination check, and both roles need it off (a director
# forwards what is not for it, a real server answers from the VIP). A network interface has one, and an interface of its
# own also keeps address, VIPs and name when its instance is replaced.

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}
data "aws_region" "this" {}

locals {
  account   = data.aws_caller_identity.this.account_id
  partition = data.aws_partition.this.partition
  region    = data.aws_region.this.region
  # The package's object, where it is in S3.
  objects = [
    for one in [var.setup.package, var.setup.ssm_agent_package] : "arn:${local.partition}:s3:::${trimprefix(one.url, "s3://")}"
    if one == null ? false : startswith(one.url, "s3://")
  ]
}

module "setup" {
  for_each          = var.hosts
  source            = "../host-setup"
  role              = var.role
  api_url           = var.setup.api_url
  package           = var.setup.package
  ssm_agent_package = var.setup.ssm_agent_package
  join              = var.setup.join
  token_parameter   = var.setup.token_parameter
  metrics           = var.metrics
  kernel_modules    = var.setup.kernel_modules
  settings          = var.setup.settings
  host_name         = each.key
  addresses         = [each.value.address]
  region            = local.region
}

# For instances that are made elsewhere: named by the way in, at the address that leads to the API.
module "setup_of_others" {
  source            = "../host-setup"
  role              = var.role
  api_url           = var.setup.api_url
  package           = var.setup.package
  ssm_agent_package = var.setup.ssm_agent_package
  join              = var.setup.join
  token_parameter   = var.setup.token_parameter
  metrics           = var.metrics
  kernel_modules    = var.setup.kernel_modules
  settings          = var.setup.settings
}

resource "aws_network_interface" "this" {
  for_each                = var.hosts
  description             = "${var.name}: ${each.key}"
  subnet_id               = each.value.subnet_id
  private_ip_list_enabled = true
  private_ip_list         = concat([each.value.address], each.value.vips)
  security_groups         = var.security_group_ids
  source_dest_check       = false
  tags                    = { Name = each.key }
}

resource "aws_instance" "this" {
  for_each             = var.hosts
  ami                  = var.ami_id
  instance_type        = var.instance_type
  iam_instance_profile = aws_iam_instance_profile.this.name
  user_data            = module.setup[each.key].script
  # A changed script is for State Manager, or for the next instance: replacing a director cuts its connections.
  user_data_replace_on_change = false
  tags                        = { Name = each.key, (local.tag) = var.name }

  primary_network_interface {
    network_interface_id = aws_network_interface.this[each.key].id
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    volume_type = "gp3"
    volume_size = var.disk_gb
    encrypted   = true
  }

  lifecycle {
    # A newer image is for the next instance.
    ignore_changes = [ami]
  }
}

locals {
  tag = "lvsfleet"
  # Each instance may be one host and no other, which its session in the role names.
  rules = {
    for name, one in var.hosts : name => {
      aws      = { account = local.account, arn = "${local.session}/${aws_instance.this[name].id}", instance = true }
      role     = var.role
      site     = var.site
      labels   = var.labels
      hostName = name
      approval = var.approval
      # The next instance of this name takes over from the one before: only this one can.
      replaces = true
    } if var.setup.join == "aws"
  }
  rule_of_others = {
    for key in [var.name] : key => {
      aws      = { account = local.account, arn = "${local.session}/*", instance = true }
      role     = var.role
      site     = var.site
      labels   = var.labels
      hostName = "{instance}"
      approval = var.approval
      replaces = false
    } if var.admit_other_instances && var.setup.join == "aws"
  }
  session = "arn:${local.partition}:sts::${local.account}:assumed-role/${aws_iam_role.this.name}"
}

# State Manager runs the script again: when it changes, and once a day, so that a host that missed a change gets it.
resource "aws_ssm_association" "this" {
  for_each            = var.ssm == null ? {} : var.hosts
  association_name    = "${var.name}-${each.key}"
  name                = "AWS-RunShellScript"
  schedule_expression = "rate(1 day)"
  # Script as one command; the document writes it to a file and runs it.
  parameters = {
    commands         = module.setup[each.key].script
    executionTimeout = "1800"
  }

  targets {
    key    = "InstanceIds"
    values = [aws_instance.this[each.key].id]
  }
}

locals {
  alarms = {
    # The kernel forwards without the agent, but not without its machine.
    machine = {
      metric    = "StatusCheckFailed"
      statistic = "Maximum"
      threshold = 1
      periods   = 2
      what      = "the instance or its machine fails AWS's checks"
    }
    processor = {
      metric    = "CPUUtilization"
      statistic = "Average"
      threshold = 80
      periods   = 5
      what      = "its processors are busy: packets will be dropped"
    }
  }
  alarmed = merge([
    for kind, alarm in local.alarms : { for host in keys(var.hosts) : "${host}-${kind}" => merge(alarm, { host = host }) }
  ]...)
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each            = local.alarmed
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "${each.value.host}: ${each.value.what}"
  namespace           = "AWS/EC2"
  metric_name         = each.value.metric
  statistic           = each.value.statistic
  dimensions          = { InstanceId = aws_instance.this[each.value.host].id }
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = each.value.threshold
  period              = 60
  evaluation_periods  = each.value.periods
  treat_missing_data  = each.value.metric == "StatusCheckFailed" ? "breaching" : "missing"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
}
