"""What a task needs beyond its OpenMMLab library; the package never imports it."""
