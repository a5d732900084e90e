"""Review page for layouts: a local server with a secret token in its address.

    browser  ->  guard (token, Host, Origin)  ->  app (queue, layouts, frames)  ->  desk (root, versions, locks)

serve       server on a loopback socket, until Ctrl-C
static/     the page: HTML, CSS and JavaScript modules, served without a build step
"""

from __future__ import annotations

from rmset.review.serve import serve

__all__ = ["serve"]
