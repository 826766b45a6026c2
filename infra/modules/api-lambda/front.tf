# How HTTP reaches the function. The API authenticates every call itself, so the front asks for nothing.

locals {
  is_url = var.front == "function-url"
}

resource "aws_lambda_function_url" "this" {
  count              = local.is_url ? 1 : 0
  function_name      = aws_lambda_function.this["api"].function_name
  authorization_type = "NONE"
  depends_on         = [aws_lambda_invocation.migrate]
}

# AWS asks for both: a URL with one of them answers 403.
resource "aws_lambda_permission" "url" {
  count                  = local.is_url ? 1 : 0
  statement_id           = "url"
  action                 = "lambda:InvokeFunctionUrl"
  function_name          = aws_lambda_function.this["api"].function_name
  principal              = "*"
  function_url_auth_type = "NONE"
}

resource "aws_lambda_permission" "invoke_by_url" {
  count                    = local.is_url ? 1 : 0
  statement_id             = "invoke-by-url"
  action                   = "lambda:InvokeFunction"
  function_name            = aws_lambda_function.this["api"].function_name
  principal                = "*"
  invoked_via_function_url = true
}

resource "aws_apigatewayv2_api" "this" {
  count         = local.is_url ? 0 : 1
  name          = var.name
  protocol_type = "HTTP"
}

resource "aws_apigatewayv2_integration" "this" {
  count                  = local.is_url ? 0 : 1
  api_id                 = aws_apigatewayv2_api.this[0].id
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_function.this["api"].invoke_arn
  payload_format_version = "2.0"
}

resource "aws_apigatewayv2_route" "this" {
  count     = local.is_url ? 0 : 1
  api_id    = aws_apigatewayv2_api.this[0].id
  route_key = "$default"
  target    = "integrations/${aws_apigatewayv2_integration.this[0].id}"
}

# The name of any other stage would stay in the path, which the API does not know.
resource "aws_apigatewayv2_stage" "this" {
  count       = local.is_url ? 0 : 1
  api_id      = aws_apigatewayv2_api.this[0].id
  name        = "$default"
  auto_deploy = true
  depends_on  = [aws_lambda_invocation.migrate]
}

resource "aws_lambda_permission" "http_api" {
  count         = local.is_url ? 0 : 1
  statement_id  = "http-api"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this["api"].function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.this[0].execution_arn}/*"
}
