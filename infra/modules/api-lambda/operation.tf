# What runs without being asked: housekeeping, and alarms.

resource "aws_iam_role" "scheduler" {
  name = "${var.name}-scheduler"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "scheduler.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy" "scheduler" {
  name = "own"
  role = aws_iam_role.scheduler.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["lambda:InvokeFunction"]
      Resource = [aws_lambda_function.this["api"].arn]
    }]
  })
}

resource "aws_scheduler_schedule" "housekeeping" {
  name                = "${var.name}-housekeeping"
  schedule_expression = "rate(10 minutes)"

  flexible_time_window {
    mode                      = "FLEXIBLE"
    maximum_window_in_minutes = 5
  }

  target {
    arn      = aws_lambda_function.this["api"].arn
    role_arn = aws_iam_role.scheduler.arn
    input    = jsonencode({ task = "housekeeping" })
  }
}

locals {
  alarms = {
    errors = {
      metric    = "Errors"
      statistic = "Sum"
      threshold = 1
      what      = "The API failed: its log says why"
    }
    throttles = {
      metric    = "Throttles"
      statistic = "Sum"
      threshold = 1
      what      = "Requests were refused: all max_instances were busy"
    }
    duration = {
      metric    = "Duration"
      statistic = "Maximum"
      threshold = 15000
      what      = "A request took half of the time that it may"
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each            = local.alarms
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.what
  namespace           = "AWS/Lambda"
  metric_name         = each.value.metric
  statistic           = each.value.statistic
  dimensions          = { FunctionName = aws_lambda_function.this["api"].function_name }
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = each.value.threshold
  period              = 300
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
}
