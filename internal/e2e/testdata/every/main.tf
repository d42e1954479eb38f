terraform {
  required_providers {
    every = { source = "example/every" }
  }
}

provider "every" {
  endpoint = "https://every.example"
  token    = "t"

  retry {
    times = 3
  }
}

data "every_look" "this" {
  name = "known"
}

resource "every_thing" "this" {
  name    = data.every_look.this.answer
  size    = 3
  token   = "planted"
  labels  = { a = "1" }
  names   = ["x", "y"]
  whole   = { a = "a", b = [1, 2] }
  any     = { free = [true, "form"] }
  one     = { a = "one" }
  list    = [{ a = "first" }, { a = "second" }]
  set     = [{ a = "x" }, { a = "y", b = 2 }]
  map     = { k = { a = "v" } }

  single_block {
    a = "s"
  }

  group_block {
    a = "g"
  }

  list_block {
    a = "first"

    inner {
      b = 1
    }

    inner {
      b = 2
    }
  }

  list_block {
    a = "second"
  }

  set_block {
    a = "x"
  }

  set_block {
    a = "y"
  }

  map_block "k" {
    a = "v"
  }
}

# What is made is known only when it is there.
resource "every_thing" "after" {
  name   = every_thing.this.made
  size   = length(every_thing.this.list_block)
  labels = { made = every_thing.this.list[1].made, inner = every_thing.this.map["k"].made, group = every_thing.this.group_block.made }
}

output "made" {
  value = every_thing.this.made
}
