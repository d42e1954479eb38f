variable "name" {
  description = "Name of the network, and the beginning of the names of what is in it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{0,61}[a-z0-9]$", var.name))
    error_message = "The name must be 2 to 63 lower-case letters, digits and hyphens."
  }
}

variable "region" {
  description = "Region that the network is in."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "The region must be one of AWS's, such as eu-west-1."
  }
}

variable "protected" {
  description = "Keeps the flow logs for a year instead of a month."
  type        = bool
  default     = true
  nullable    = false
}

variable "cidr" {
  description = "IPv4 range of the network, /16 to /24."
  type        = string
  nullable    = false

  validation {
    condition     = can(cidrhost(var.cidr, 0)) && can(regex("/(1[6-9]|2[0-4])$", var.cidr))
    error_message = "The range must be an IPv4 range from /16 to /24, such as 10.30.0.0/16."
  }

  validation {
    # The smallest subnet that AWS makes is a /28.
    condition     = can(cidrsubnet(cidrsubnet(var.cidr, 2, 3), ceil(log(var.zones, 2)), 0)) && try(tonumber(split("/", var.cidr)[1]) + 2 + ceil(log(var.zones, 2)) <= 28, false)
    error_message = "The range is too small for that many zones: subnets would be smaller than /28."
  }
}

variable "zones" {
  description = "Number of availability zones to spread over."
  type        = number
  default     = 3
  nullable    = false

  validation {
    condition     = var.zones >= 1 && var.zones <= 6 && floor(var.zones) == var.zones
    error_message = "The number of zones must be 1 to 6."
  }
}

variable "nat" {
  description = "Outbound internet access of private subnets: per-zone, shared or none."
  type        = string
  default     = "per-zone"
  nullable    = false

  validation {
    condition     = contains(["per-zone", "shared", "none"], var.nat)
    error_message = "nat must be per-zone, shared or none."
  }
}
