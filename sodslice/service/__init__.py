"""The service: PaddleX's protocol for pictures, jobs for scenes, and a page to use it from; extra `serve`."""
