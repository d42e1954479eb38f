variable "zone" {
  description = "Zone to create, without a final dot."
  type        = string
  nullable    = false

  validation {
    condition     = length(var.zone) <= 253 && can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.zone))
    error_message = "The zone must be a DNS name such as dev.acme.example, in lower case and without a final dot."
  }
}

variable "protected" {
  description = "Keeps the zone from being destroyed while records of others are in it."
  type        = bool
  default     = true
  nullable    = false
}
