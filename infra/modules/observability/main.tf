# What an operator wants to be woken by, and to look at then: a topic, alarms of API and database that their own modules do
# not have, one dashboard, and where metrics are kept in Amazon Managed Prometheus the alert rules of docs/prometheus.

data "aws_caller_identity" "this" {}
data "aws_region" "this" {}

locals {
  account  = data.aws_caller_identity.this.account_id
  region   = data.aws_region.this.region
  has_rule = var.prometheus_rules_file != null
}

resource "aws_sns_topic" "this" {
  name              = var.name
  kms_master_key_id = var.kms_key_id
}

resource "aws_sns_topic_policy" "this" {
  arn = aws_sns_topic.this.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "AlarmsOfThisAccount"
      Effect    = "Allow"
      Action    = ["sns:Publish"]
      Principal = { Service = concat(["cloudwatch.amazonaws.com"], local.has_rule ? ["aps.amazonaws.com"] : []) }
      Resource  = [aws_sns_topic.this.arn]
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

# AWS asks each address whether it wants the mails.
resource "aws_sns_topic_subscription" "mail" {
  for_each  = toset(var.mails)
  topic_arn = aws_sns_topic.this.arn
  protocol  = "email"
  endpoint  = each.value
}

locals {
  api_dimensions = var.api == null ? {} : { FunctionName = var.api.function_name }
  # Errors, throttles and duration are alarms of the module api-lambda. An answer of 5xx is none of these.
  api_alarms = var.api == null ? {} : {
    api-5xx = {
      namespace  = "AWS/Lambda"
      metric     = "Url5xxCount"
      statistic  = "Sum"
      operator   = "GreaterThanOrEqualToThreshold"
      threshold  = var.api_5xx_max
      periods    = 1
      missing    = "notBreaching"
      dimensions = local.api_dimensions
      what       = "The API answers with 5xx: agents keep what they have, and nothing can be changed"
    }
    api-silent = {
      namespace  = "AWS/Lambda"
      metric     = "UrlRequestCount"
      statistic  = "Sum"
      operator   = "LessThanThreshold"
      threshold  = 1
      periods    = 3
      missing    = "breaching"
      dimensions = local.api_dimensions
      what       = "No agent asks the API: is the way to it cut? Directors forward as they were"
    }
  }
  database_alarms = var.database == null ? {} : {
    database-capacity = {
      namespace  = "AWS/RDS"
      metric     = "ACUUtilization"
      statistic  = "Average"
      operator   = "GreaterThanOrEqualToThreshold"
      threshold  = 90
      periods    = 3
      missing    = "notBreaching"
      dimensions = { DBClusterIdentifier = var.database.cluster }
      what       = "The database is at the upper end of its capacity"
    }
    database-connections = {
      namespace  = "AWS/RDS"
      metric     = "DatabaseConnections"
      statistic  = "Maximum"
      operator   = "GreaterThanOrEqualToThreshold"
      threshold  = var.database.connections_max
      periods    = 2
      missing    = "notBreaching"
      dimensions = { DBClusterIdentifier = var.database.cluster }
      what       = "Few of the database's connections are left: requests will be answered 503"
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each            = merge(local.api_alarms, local.database_alarms)
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.what
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  statistic           = each.value.statistic
  dimensions          = each.value.dimensions
  comparison_operator = each.value.operator
  threshold           = each.value.threshold
  period              = 300
  evaluation_periods  = each.value.periods
  treat_missing_data  = each.value.missing
  alarm_actions       = [aws_sns_topic.this.arn]
  ok_actions          = [aws_sns_topic.this.arn]
}

locals {
  function = var.api == null ? "" : var.api.function_name
  cluster  = var.database == null ? "" : var.database.cluster
  # Metrics as CloudWatch writes them: [namespace, name, dimension, value, how].
  panels = concat(
    [for one in [
      {
        title   = "API: requests and answers"
        metrics = [for name in ["UrlRequestCount", "Url4xxCount", "Url5xxCount"] : ["AWS/Lambda", name, "FunctionName", local.function, { stat = "Sum" }]]
      },
      {
        title   = "API: duration, ms"
        metrics = [for stat in ["p50", "p99", "Maximum"] : ["AWS/Lambda", "Duration", "FunctionName", local.function, { stat = stat }]]
      },
      {
        title   = "API: instances, refusals, failures"
        metrics = [for name in ["ConcurrentExecutions", "Throttles", "Errors"] : ["AWS/Lambda", name, "FunctionName", local.function, { stat = name == "ConcurrentExecutions" ? "Maximum" : "Sum" }]]
      },
    ] : merge(one, { region = local.region }) if var.api != null],
    [for one in [
      {
        title   = "Database: capacity and connections"
        metrics = [for name in ["ServerlessDatabaseCapacity", "DatabaseConnections"] : ["AWS/RDS", name, "DBClusterIdentifier", local.cluster, { stat = "Maximum" }]]
      },
    ] : merge(one, { region = local.region }) if var.database != null],
    [for region, hosts in var.hosts : {
      title   = "Hosts in ${region}: processor, %"
      metrics = [for name, id in hosts : ["AWS/EC2", "CPUUtilization", "InstanceId", id, { label = name, stat = "Average" }]]
      region  = region
    }],
    [for region, hosts in var.hosts : {
      title   = "Hosts in ${region}: packets in"
      metrics = [for name, id in hosts : ["AWS/EC2", "NetworkPacketsIn", "InstanceId", id, { label = name, stat = "Sum" }]]
      region  = region
    }],
  )
  dashboard = jsonencode({
    widgets = [for n, one in local.panels : {
      type       = "metric"
      x          = 12 * (n % 2)
      y          = 6 * floor(n / 2)
      width      = 12
      height     = 6
      properties = { title = one.title, region = one.region, metrics = one.metrics, view = "timeSeries", period = 300 }
    }]
  })
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name
  dashboard_body = local.dashboard
}

# Prometheus, for those who send metrics there: agents and API answer scrapes, and a collector of yours brings them.
resource "aws_prometheus_workspace" "this" {
  count = local.has_rule ? 1 : 0
  alias = var.name
}

resource "aws_prometheus_rule_group_namespace" "this" {
  count        = local.has_rule ? 1 : 0
  name         = "lvsfleet"
  workspace_id = aws_prometheus_workspace.this[0].id
  data         = file(var.prometheus_rules_file)
}

resource "aws_prometheus_alert_manager_definition" "this" {
  count        = local.has_rule ? 1 : 0
  workspace_id = aws_prometheus_workspace.this[0].id
  definition = yamlencode({
    alertmanager_config = yamlencode({
      route = { receiver = "topic", group_by = ["alertname", "instance"] }
      receivers = [{
        name        = "topic"
        sns_configs = [{ topic_arn = aws_sns_topic.this.arn, sigv4 = { region = local.region }, send_resolved = true }]
      }]
    })
  })
  depends_on = [aws_sns_topic_policy.this]
}
