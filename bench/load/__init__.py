"""Load clients and the customers' mailbox: processes of their own, so that their work is told apart."""
