output "url" {
  description = "Where the API answers: for operators, and as the agents' LVSFLEET_API."
  value       = local.is_url ? aws_lambda_function_url.this[0].function_url : aws_apigatewayv2_stage.this[0].invoke_url
}

output "admin_key_parameter" {
  description = "Parameter with the first API key. Read it once, make keys of your own, then delete it."
  value       = local.admin_key
}

output "signing_key_parameter" {
  description = "Parameter with the controller's key. Keep a copy elsewhere: agents trust no other."
  value       = local.signing_key
}

output "join_token_prefix" {
  description = "What hosts put before /SITE/ROLE as their token_parameter; null when no tokens are kept."
  value       = var.join_token_prefix
}

output "function_names" {
  description = "Of `api` and `migrate`."
  value       = { for key, one in aws_lambda_function.this : key => one.function_name }
}

output "policies" {
  description = "What the roles of the functions may do, beyond their network interfaces."
  value       = local.policies
}
