output "topic_arn" {
  description = "What the other modules take as alarm_topic_arns."
  value       = aws_sns_topic.this.arn
  depends_on  = [aws_sns_topic_policy.this]
}

output "dashboard" {
  description = "Body of the dashboard, as JSON."
  value       = local.dashboard
}

output "prometheus_endpoint" {
  description = "Where a collector writes metrics to (with /api/v1/remote_write behind it); null without a workspace."
  value       = local.has_rule ? aws_prometheus_workspace.this[0].prometheus_endpoint : null
}
