"""The review page for layouts: a local server with a secret in its address.

    browser  ->  guard (token, Host, Origin)  ->  app (queue, layouts, frames)  ->  desk (root, versions, locks)

serve       opens the socket on the loopback and runs until Ctrl-C
static/     the page itself: HTML, CSS and JavaScript modules, as they are, without a build step
"""

from __future__ import annotations

from rmset.review.serve import serve

__all__ = ["serve"]
