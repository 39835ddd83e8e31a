"""Tests of monitors.business."""
