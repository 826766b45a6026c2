variables {
  name     = "lvsfleet"
  mails    = ["ops@example.org"]
  api      = { function_name = "lvsfleet-api" }
  database = { cluster = "lvsfleet" }
  hosts    = { eu-central-1 = { dir-a = "i-1", rs-a1 = "i-2" } }
}

run "tells_the_topic_of_each_alarm" {
  assert {
    condition     = keys(aws_cloudwatch_metric_alarm.this) == ["api-5xx", "api-silent", "database-capacity", "database-connections"]
    error_message = "what the other modules do not see"
  }
  assert {
    condition     = alltrue([for one in aws_cloudwatch_metric_alarm.this : one.alarm_actions == toset([aws_sns_topic.this.arn])]) && aws_cloudwatch_metric_alarm.this["api-silent"].treat_missing_data == "breaching"
    error_message = "silence is an alarm"
  }
  assert {
    condition     = jsondecode(aws_sns_topic_policy.this.policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == data.aws_caller_identity.this.account_id && jsondecode(aws_sns_topic_policy.this.policy).Statement[0].Principal.Service == ["cloudwatch.amazonaws.com"]
    error_message = "only alarms of this account may publish"
  }
}

run "shows_what_there_is_on_one_dashboard" {
  command = plan
  assert {
    condition     = length(jsondecode(output.dashboard).widgets) == 6 && jsondecode(output.dashboard).widgets[4].properties.metrics[0] == ["AWS/EC2", "CPUUtilization", "InstanceId", "i-1", { label = "dir-a", stat = "Average" }]
    error_message = "API, database and hosts"
  }
}

run "makes_no_panel_of_what_there_is_not" {
  command = plan
  variables {
    api      = null
    database = null
  }
  assert {
    condition     = length(jsondecode(output.dashboard).widgets) == 2 && length(aws_cloudwatch_metric_alarm.this) == 0 && output.prometheus_endpoint == null
    error_message = "hosts only"
  }
}

run "takes_the_rules_that_the_project_has" {
  variables {
    prometheus_rules_file = "../../../docs/prometheus/alerts.yaml"
  }
  assert {
    condition     = yamldecode(aws_prometheus_rule_group_namespace.this[0].data).groups[0].name == "lvs-fleet" && yamldecode(yamldecode(aws_prometheus_alert_manager_definition.this[0].definition).alertmanager_config).receivers[0].sns_configs[0].topic_arn == aws_sns_topic.this.arn
    error_message = "the rules of docs/prometheus, told to the topic"
  }
  assert {
    condition     = contains(jsondecode(aws_sns_topic_policy.this.policy).Statement[0].Principal.Service, "aps.amazonaws.com")
    error_message = "Prometheus may publish then"
  }
}

run "refuses_values_that_make_no_sense" {
  command = plan
  variables {
    mails                 = ["ops"]
    kms_key_id            = "alias/aws/sns"
    api_5xx_max           = 0
    prometheus_rules_file = "main.tf"
  }
  expect_failures = [var.mails, var.kms_key_id, var.api_5xx_max, var.prometheus_rules_file]
}
