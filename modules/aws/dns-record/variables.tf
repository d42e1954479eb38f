variable "name" {
  description = "Name below the zone, without the zone."
  type        = string
  nullable    = false

  validation {
    condition     = length(var.name) <= 200 && can(regex("^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?$", var.name))
    error_message = "The name must be at most 200 characters of a DNS name such as tools, in lower case."
  }
}

variable "target" {
  description = "Host name that it is another name of; null stands for gateway.ZONE."
  type        = string
  default     = null

  validation {
    condition     = var.target == null || can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.target))
    error_message = "The target must be a full host name without a final dot, in lower case."
  }
}

variable "ttl" {
  description = "Time that resolvers may remember the answer, in seconds."
  type        = number
  default     = 300
  nullable    = false

  validation {
    condition     = var.ttl >= 30 && var.ttl <= 86400 && floor(var.ttl) == var.ttl
    error_message = "The ttl must be a whole number of seconds from 30 to 86400."
  }
}

variable "zone_id" {
  description = "Id of the environment's zone."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^Z[0-9A-Za-z]+$", var.zone_id))
    error_message = "The zone must be the id of a Route 53 zone, such as Z0123456789ABCDEFGHIJ."
  }
}

variable "zone_name" {
  description = "Name of the environment's zone, without a final dot."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?[.])+[a-z][a-z0-9-]*[a-z0-9]$", var.zone_name))
    error_message = "The name must be a domain in lower-case letters, without a final dot."
  }
}
