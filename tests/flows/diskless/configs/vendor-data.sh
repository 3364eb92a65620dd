#!/bin/sh
echo vendor-data of {{ values.hostname }} > /etc/gitboot-vendor
